"""Atari games against the preprocessing that ale-py does itself."""

import sys

import numpy as np
import pytest

from components.supports import Tokens
from framework.data.trajectories.environments import Environment
from framework.data.trajectories.frames import averages, shrink
from framework.data.trajectories.making import make

pytest.importorskip("ale_py")


def played(name, seed, actions):
    """What is seen, and the rewards that come."""
    environment = make(name)
    seen, rewards = [environment.reset(seed=seed)[0]], []
    for action in actions:
        observation, reward, *_ = environment.step(action)
        seen.append(observation)
        rewards.append(reward)
    environment.close()
    return np.stack(seen), np.array(rewards)


@pytest.mark.parametrize(("game", "rom"), [("Seaquest", "seaquest"), ("BankHeist", "bank_heist")])
def test_frames_equal_those_of_ale(game, rom, monkeypatch):
    from ale_py.vector_env import AtariVectorEnv

    from framework.data.trajectories import atari

    monkeypatch.setattr(atari, "NOOPS", 0)
    actions = np.random.default_rng(0).integers(18, size=40)
    options = {"noop_max": 0, "use_fire_reset": False, "reward_clipping": False}
    reference = AtariVectorEnv(rom, 1, num_threads=1, **options)
    frames, rewards = [reference.reset(seed=0)[0][0]], []
    for action in actions:
        observation, reward, *_ = reference.step(np.array([action]))
        frames.append(observation[0])
        rewards.append(reward[0])
    reference.close()
    seen, earned = played(f"overtone/{game}-frames", 0, actions)
    difference = np.abs(seen.astype(int) - np.stack(frames))
    assert difference.max() <= 1  # a sum may round to either side of one half
    assert (difference > 0).mean() < 2e-3
    np.testing.assert_array_equal(earned, rewards)


def test_memory_and_frames_are_of_one_episode():
    actions = np.random.default_rng(1).integers(18, size=60)
    memory, earned = played("overtone/Seaquest-ram", 5, actions)
    frames, rewards = played("overtone/Seaquest-frames", 5, actions)
    np.testing.assert_array_equal(earned, rewards)
    again, _ = played("overtone/Seaquest-ram", 5, actions)
    np.testing.assert_array_equal(memory, again)
    assert memory.shape == (61, 128)
    assert frames.shape == (61, 4, 84, 84)
    assert memory.dtype == frames.dtype == np.uint8


def test_frames_move_through_the_stack_and_begin_in_the_dark():
    seen, _ = played("overtone/Seaquest-frames", 0, [1] * 6)
    np.testing.assert_array_equal(seen[1:, :-1], seen[:-1, 1:])
    assert not seen[0, :-1].any()
    assert seen[0, -1].any()


def test_the_seed_decides_how_an_episode_begins():
    frames = [played("overtone/Seaquest-frames", seed, [])[0][0, -1] for seed in range(6)]
    assert len({frame.tobytes() for frame in frames}) > 1


def test_environments_know_their_actions_and_their_end():
    ram, frames = (Environment(f"overtone/Seaquest-{kind}") for kind in ("ram", "frames"))
    assert ram.space.support() == frames.space.support() == Tokens(18)
    assert ram.limit == frames.limit == 27_000
    assert (ram.observation, frames.observation) == ((128,), (4, 84, 84))
    assert Environment("overtone/Pong-ram").space.support() == Tokens(6)


def test_an_unknown_game_gets_one_sentence():
    with pytest.raises(ValueError, match="There is no Atari game 'Chess'; give its name"):
        make("overtone/Chess-ram")
    with pytest.raises(ValueError, match="'overtone/Seaquest-sound' cannot be made"):
        make("overtone/Seaquest-sound")


def test_a_missing_package_gets_one_sentence(monkeypatch):
    monkeypatch.delitem(sys.modules, "framework.data.trajectories.atari", raising=False)
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(ValueError, match=r"pip install 'overtone\[rl\]'") as caught:
        make("overtone/Seaquest-frames")
    assert "\n" not in str(caught.value)


def test_shrinking_averages_areas():
    screen = np.random.default_rng(0).integers(256, size=(210, 160)).astype(np.uint8)
    fine = screen.repeat(2, 0).repeat(21, 1)  # 420 x 3360: five rows and forty columns a pixel
    blocks = fine.reshape(84, 5, 84, 40).mean((1, 3))
    assert np.abs(shrink(screen) - blocks).max() <= 0.5 + 1e-4
    thirds = averages(np.array([3.0, 6.0, 9.0, 0.0]), 3)  # of four values: 4/3 of one each
    np.testing.assert_allclose(thirds, [(3 + 6 / 3) * 3 / 4, (4 + 6) * 3 / 4, 3 * 3 / 4])


@pytest.mark.parametrize("game", ["Seaquest", "BankHeist", "Gravitar"])
def test_an_episode_does_not_depend_on_the_one_before(game):
    actions = np.random.default_rng(2).integers(18, size=80)
    fresh, _ = played(f"overtone/{game}-ram", 7, actions)
    environment = make(f"overtone/{game}-ram")
    environment.reset(seed=5)
    for action in actions:
        environment.step(action)
    again = [environment.reset(seed=7)[0], *(environment.step(action)[0] for action in actions)]
    environment.close()
    np.testing.assert_array_equal(again, fresh)
