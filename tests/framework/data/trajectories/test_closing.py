"""Environments are closed, also where something fails between."""

import gymnasium
import numpy as np
import pytest

from framework.data.trajectories import filming
from framework.data.trajectories.environments import Environment
from framework.data.trajectories.filming import AtariEpisodes, RandomAtari
from framework.data.trajectories.playing import Played

NAME = "overtone-tests/Counted-v0"


class Counted(gymnasium.Env):
    """Counts how many are open; plays on the wrong disk."""

    open = 0
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def __init__(self):
        Counted.open += 1

    def reset(self, *, seed=None, options=None):
        raise OSError("no disk")

    def close(self):
        Counted.open -= 1


class Unreadable(Counted):
    observation_space = gymnasium.spaces.Text(3)


gymnasium.register(NAME, Counted)
gymnasium.register("overtone-tests/Unreadable-v0", Unreadable)


class Player(Played):
    environment = NAME

    def player(self, level, random):
        return lambda seen: np.zeros(1)


@pytest.fixture(autouse=True)
def closed():
    """Nothing is open before a test, nor after it."""
    Counted.open = 0
    yield
    assert Counted.open == 0


def test_an_environment_whose_observations_cannot_be_read():
    with pytest.raises(ValueError, match="which are not one array"):
        Environment("overtone-tests/Unreadable-v0")


def test_random_episodes_that_fail():
    with pytest.raises(OSError, match="no disk"):
        Environment(NAME).random_return(3)


def test_players_who_fail():
    with pytest.raises(OSError, match="no disk"):
        Player(1, [0.0], seed=0).read()


def test_films_that_fail(monkeypatch):
    pytest.importorskip("ale_py")
    monkeypatch.setattr(Player, "environment", "overtone/Seaquest-ram")
    monkeypatch.setattr(filming, "make", lambda name: Counted())
    with pytest.raises(OSError, match="no disk"):
        AtariEpisodes(Player(1, [0.0], seed=0)).read()
    with pytest.raises(AttributeError, match="'n'"):  # of actions that are no choices
        RandomAtari().player("Seaquest", np.random.default_rng(0))
