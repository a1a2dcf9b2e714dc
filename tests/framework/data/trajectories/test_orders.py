"""Orders of actions: the paper's, and that data, policy and environment agree on one."""

import gymnasium
import numpy as np
import pytest
import torch

from components.data import EpisodeBatch
from components.supports import Interval, Tokens
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.orders import ActionOrder, AtariOrder
from framework.evaluation.rollout import play
from tests.framework.data.trajectories.test_module import Fixed, everything, made

ATARI = [  # of the Arcade Learning Environment, by number
    *("NOOP", "FIRE", "UP", "RIGHT", "LEFT", "DOWN"),
    *("UPRIGHT", "UPLEFT", "DOWNRIGHT", "DOWNLEFT", "UPFIRE", "RIGHTFIRE", "LEFTFIRE", "DOWNFIRE"),
    *("UPRIGHTFIRE", "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE"),
]
AROUND = ["LEFT", "UPLEFT", "UP", "UPRIGHT", "RIGHT", "DOWNRIGHT", "DOWN", "DOWNLEFT"]
ORDER = [2, 0, 3, 1]


class Recorder(gymnasium.Env):
    """Four choices numbered from 5 on; records its actions."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Discrete(4, start=5)
    taken: list[int]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        type(self).taken = []
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.taken.append(action)
        return np.zeros(2, np.float32), 0.0, len(self.taken) == 8, False, {}


gymnasium.register("Recorder-v0", Recorder)


def test_atari_actions_go_around_the_directions():
    actions = AtariOrder().actions
    assert sorted(actions) == list(range(18))
    fired = [direction + "FIRE" for direction in AROUND]
    assert [ATARI[action] for action in actions] == ["NOOP", *AROUND, *fired, "FIRE"]
    np.testing.assert_array_equal(AtariOrder().places(np.array(actions)), np.arange(18))


def test_actions_of_the_emulator_have_these_numbers():
    ale_py = pytest.importorskip("ale_py")
    assert [ale_py.Action(number).name for number in range(18)] == ATARI


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_past_and_predicted_actions_are_places(split):
    plain = everything(TrajectoryData(Fixed(made()), length=4).dataset(split))
    data = TrajectoryData(Fixed(made()), length=4, order=ActionOrder(ORDER))
    batch = everything(data.dataset(split))
    assert torch.equal(torch.tensor(ORDER)[batch.action][batch.mask], plain.action[batch.mask])
    assert torch.equal(torch.tensor(ORDER)[batch.target][batch.mask], plain.target[batch.mask])
    assert not batch.action[~batch.mask].any()
    assert batch.action.dtype == torch.int64
    assert data.spec.order == tuple(ORDER)


def test_the_environment_hears_its_numbers_and_the_window_keeps_places():
    recorded = made()._replace(action=made().action + 5)  # as the environment took them
    data = TrajectoryData(
        Fixed(recorded, "Recorder-v0", "five"), length=4, order=ActionOrder(ORDER)
    )
    batch, spec = everything(data.dataset("train")), data.spec
    plain = everything(TrajectoryData(Fixed(made()), length=4).dataset("train"))
    assert torch.equal(torch.tensor(ORDER)[batch.action][batch.mask], plain.action[batch.mask])
    windows = []

    def policy(window, uniform):
        windows.append(window.action.clone())
        return window.time[:, -1] % 4

    play(policy, spec, EpisodeBatch(torch.tensor([0]), torch.zeros(1)))
    assert Recorder.taken == [5 + ORDER[time % 4] for time in range(8)]
    for time, window in enumerate(windows):
        places = [past % 4 for past in range(max(0, time - 3), time)]
        assert window[0].tolist() == [*places, 0]


@pytest.mark.parametrize("actions", [[], [0, 1, 1], [1, 2, 3], [0, 2]])
def test_what_is_no_permutation_is_refused(actions):
    with pytest.raises(ValueError, match=r"ActionOrder: actions=.* name each number from 0 on"):
        ActionOrder(actions)


@pytest.mark.parametrize("action", [(), (2,)])
def test_an_order_of_other_actions_is_refused(action):
    data = TrajectoryData(Fixed(made(action=action)), order=AtariOrder())
    kind = Interval if action else Tokens
    message = f"AtariOrder orders 18 choices, the actions of these episodes are {kind.__name__}"
    for use in (lambda: data.spec, lambda: data.dataset("train")):
        with pytest.raises(ValueError, match=message):
            use()
