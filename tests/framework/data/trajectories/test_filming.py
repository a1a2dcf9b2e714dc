"""Frames of episodes against the episodes that were played, and against rollouts."""

import numpy as np
import pytest
import torch

from components.data import EpisodeBatch
from framework.data.trajectories.controllers import CartPole
from framework.data.trajectories.episodes import Episodes
from framework.data.trajectories.filming import AtariEpisodes, RandomAtari
from framework.data.trajectories.making import make
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.playing import Played
from framework.evaluation.rollout import play

pytest.importorskip("ale_py")


SEED = int(np.random.default_rng(3).integers(2**31))  # of the first episode of a player of seed 3


class Diver(Played):
    """Sinks at once: its episodes are short."""

    environment = "overtone/Seaquest-ram"
    packages = ("ale-py",)

    def player(self, level, random):
        return lambda memory: 5 if memory[97] < 100 and random.random() < level else 1


def sinking():
    return Diver(1, [0.9], seed=3)


@pytest.fixture(scope="module")
def filmed():
    return AtariEpisodes(sinking()).read()


@pytest.mark.slow
def test_the_film_shows_the_same_episodes(filmed):
    played = sinking().read()
    assert filmed.observation.shape == (len(played.reward), 84, 84)
    for name in ("action", "reward", "length"):
        np.testing.assert_array_equal(getattr(filmed, name), getattr(played, name))


@pytest.mark.slow
def test_recorded_frames_are_those_of_the_environment(filmed):
    environment = make("overtone/Seaquest-frames")
    seen, _ = environment.reset(seed=SEED)
    for step in range(int(filmed.length[0])):
        np.testing.assert_array_equal(filmed.observation[step], seen[-1])
        seen, reward, over, *_ = environment.step(int(filmed.action[step]))
        assert reward == filmed.reward[step]
    environment.close()
    assert over


class Thrice(AtariEpisodes):
    """One episode, so that training, validation and test have the same."""

    def __init__(self, filmed):
        super().__init__(sinking())
        self.filmed = filmed

    def read(self):
        return Episodes.join([self.filmed] * 3)


@pytest.mark.slow
def test_a_rollout_sees_what_is_read_from_a_recording(filmed):
    data = TrajectoryData(Thrice(filmed), length=5, horizon=12)
    recorded = data.dataset("train").__getitems__(list(range(12)))  # the first twelve windows
    windows = []

    def again(window, uniform):
        windows.append(window.observation.clone())
        return recorded.action[len(windows) - 1, -1:]

    play(again, data.spec, EpisodeBatch(torch.tensor([SEED]), torch.tensor([0.0])))
    assert windows[0].dtype == recorded.observation.dtype == torch.uint8
    for time, (window, whole) in enumerate(zip(windows, recorded.observation, strict=True)):
        assert torch.equal(window[0], whole[-min(time + 1, 5) :])  # without padding


@pytest.mark.slow
def test_games_are_played_at_random():
    gravitar, again = (RandomAtari("Gravitar", steps=10, seed=1) for _ in range(2))
    episodes = gravitar.read()
    assert set(episodes.action.tolist()) == set(range(18))
    np.testing.assert_array_equal(episodes.action, again.read().action)
    assert gravitar.key() == again.key() != RandomAtari("Seaquest", steps=10, seed=1).key()


def test_what_cannot_be_filmed_gets_one_sentence():
    with pytest.raises(ValueError, match="CartPole plays CartPole-v1, which cannot be filmed"):
        AtariEpisodes(CartPole())
