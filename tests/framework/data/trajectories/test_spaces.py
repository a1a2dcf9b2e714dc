"""Every action space of gymnasium: actions survive the round trip, or a sentence names it."""

from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from components.data import EpisodeBatch
from components.supports import Interval, Tokens
from framework.data.trajectories.actions import recorded_space, space_of
from framework.data.trajectories.module import TrajectoryData
from framework.evaluation.rollout import play
from tests.framework.data.trajectories.test_module import Fixed, everything, made

SPACES = {
    "choices": (spaces.Discrete(3), Tokens(3)),
    "start": (spaces.Discrete(3, start=-1), Tokens(3)),
    "several": (spaces.MultiDiscrete([3, 2, 2]), Tokens(12)),
    "several from elsewhere": (spaces.MultiDiscrete([3, 2], start=[5, -1]), Tokens(6)),
    "matrix": (spaces.MultiDiscrete(np.array([[2, 3], [2, 2]])), Tokens(24)),
    "binary": (spaces.MultiBinary(3), Tokens(8)),
    "binary matrix": (spaces.MultiBinary((2, 2)), Tokens(16)),
    "scalar": (spaces.Box(-1, 1, ()), Interval(-1, 1)),
    "vector": (spaces.Box(-1, 1, (3,)), Interval(-1, 1, (3,))),
    "image": (spaces.Box(-1, 1, (2, 3)), Interval(-1, 1, (2, 3))),
    "bounds": (spaces.Box(np.float32([-1, 0]), np.float32([1, 4])), Interval(-1, 4, (2,))),
    "double": (spaces.Box(-1, 1, (2,), np.float64), Interval(-1, 1, (2,))),
    "whole": (spaces.Box(0, 255, (2,), np.uint8), Interval(0, 255, (2,))),
}


class Recorder(gymnasium.Env):
    """Any space of actions; records those that it gets, and refuses what lies outside."""

    observation_space = spaces.Box(-np.inf, np.inf, (2,))
    taken: ClassVar[list[object]] = []

    def __init__(self, actions):
        self.action_space = actions

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.taken.clear()
        return np.zeros(2, np.float32), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.taken.append(action)
        return np.zeros(2, np.float32), 0.0, len(self.taken) == 6, False, {}


for number, (space, _) in enumerate(SPACES.values()):
    gymnasium.register(f"overtone-tests/Space{number}-v0", Recorder, kwargs={"actions": space})


@pytest.mark.parametrize("number", range(len(SPACES)), ids=SPACES)
def test_recorded_actions_are_taken_again(number):
    space, support = list(SPACES.values())[number]
    space.seed(3)
    actions = np.array([space.sample() for _ in range(36)])
    episodes = made()._replace(action=actions)
    data = TrajectoryData(Fixed(episodes, f"overtone-tests/Space{number}-v0"), length=6)
    assert data.spec.support == support
    dataset = data.dataset("train")
    outcomes = dataset.action[np.arange(6)]
    batch = everything(dataset)
    assert batch.action.shape[2:] == support.shape
    assert support.contains(batch.action).all()
    assert batch.action.dtype == (torch.int64 if isinstance(support, Tokens) else torch.float32)
    played = iter(torch.from_numpy(outcomes))

    def policy(window, uniform):
        return next(played)[None]

    play(policy, data.spec, EpisodeBatch(torch.tensor([0]), torch.zeros(1)))
    np.testing.assert_allclose(np.array(Recorder.taken), actions[:6], rtol=1e-6)


def test_combinations_are_numbered_with_the_last_varying_fastest():
    space = space_of(spaces.MultiDiscrete([3, 2], start=[1, 0]), "Any-v0")
    every = np.array([[a, b] for a in (1, 2, 3) for b in (0, 1)])
    assert space.encode(every).tolist() == list(range(6))
    assert [space.decode(np.asarray(k)).tolist() for k in range(6)] == every.tolist()


@pytest.mark.parametrize(
    ("low", "high", "interval"),
    [(-np.inf, np.inf, (-2.0, 5.0)), (-3.0, np.inf, (-3.0, 5.0)), (-np.inf, 9.0, (-2.0, 9.0))],
)
def test_where_there_is_no_bound_the_records_have_one(low, high, interval):
    space = space_of(spaces.Box(low, high, (2,)), "Any-v0")
    recorded = np.array([[0.0, -2.0], [5.0, 1.0]])
    assert space.support(recorded) == Interval(*interval, (2,))
    assert space.possible(recorded).all()
    with pytest.raises(ValueError, match=r"Box.* of Any-v0 has no bounds; record actions"):
        space.support()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict(a=spaces.Discrete(2)),
        spaces.Tuple([spaces.Discrete(2)]),
        spaces.Text(3),
        spaces.Sequence(spaces.Discrete(2)),
    ],
    ids=lambda space: type(space).__name__,
)
def test_other_spaces_are_refused_by_name(space):
    with pytest.raises(ValueError, match="which are neither choices nor vectors") as caught:
        space_of(space, "Any-v0")
    assert str(space) in str(caught.value)


def test_too_many_combinations_are_refused():
    with pytest.raises(ValueError, match=r"MultiBinary\(20\) of Any-v0 has 1048576 combinations"):
        space_of(spaces.MultiBinary(20), "Any-v0")


@pytest.mark.parametrize(
    ("actions", "support"),
    [
        (np.array([True, False]), Tokens(2)),
        (np.array([[False], [False]]), Tokens(2)),
        (np.array([0, 3, 1], np.uint8), Tokens(4)),
        (np.array([[0], [3]]), Tokens(4)),
        (np.array([-0.5, 3]), Interval(-0.5, 3)),
        (np.array([[-0.5], [3]]), Interval(-0.5, 3, (1,))),
    ],
)
def test_without_an_environment_the_type_says_what_actions_are(actions, support):
    assert recorded_space(actions, "Fixed").support(actions) == support
    steps = np.resize(actions, (36, *actions.shape[1:]))
    data = TrajectoryData(Fixed(made()._replace(action=steps)), length=4)
    assert data.spec.support == support
    read = everything(data.dataset("train")).action
    assert read.shape[2:] == support.shape
    assert set(read.unique().tolist()) <= {0.0, *map(float, actions.ravel())}


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(36,), (36, 1)])
def test_an_environment_says_that_actions_are_choices(dtype, shape):
    choices = (np.arange(36) % 2).reshape(shape)
    episodes = made(observation=(4,))._replace(action=choices.astype(dtype))
    data = TrajectoryData(Fixed(episodes, "CartPole-v1", f"{dtype}{shape}"), length=4)
    assert data.spec.support == Tokens(2)
    read = data.dataset("train").action[np.arange(36)]
    assert read.dtype == np.int64
    assert read.tolist() == choices.ravel().tolist()


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([0.0, 1.0]), "all of them are whole numbers from 0 to 1; record choices as int"),
        (np.array([[0, 1], [1, 1]]), r"int64 of shape \(2,\), which may be several choices"),
        (np.array([[True, False]]), r"bool of shape \(2,\), which may be several choices"),
        (np.array([-1, 1]), "whole numbers from -1 to 1, which are not choices numbered from 0"),
        (np.array([0, 10**9]), "from 0 to 1000000000, which are not choices"),
    ],
)
def test_what_may_be_either_is_refused(actions, message):
    with pytest.raises(ValueError, match=message):
        recorded_space(actions, "Fixed")


def test_constant_actions_are_refused():
    actions = np.full(3, -0.5)
    with pytest.raises(ValueError, match=r"range of Fixed are all -0.5, which leaves nothing"):
        recorded_space(actions, "Fixed").support(actions)
