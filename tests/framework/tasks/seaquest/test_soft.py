"""The captain who draws moves by their distance from the plan."""

import numpy as np
import pytest
import scipy.stats
import torch

from framework.data.trajectories.filming import AtariEpisodes
from framework.data.trajectories.making import make
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.orders import AtariOrder
from framework.tasks.seaquest.player import MOVES, Captain, Seaquest, Skill, joystick
from framework.tasks.seaquest.soft import SoftSeaquest, costs_of
from tests.framework.tasks.seaquest.test_player import memory

UP, UP_RIGHT, RIGHT, DOWN = (0, -1), (1, -1), (1, 0), (0, 1)


def test_costs_by_hand():
    costs = costs_of(UP, False)
    expected = {UP: 0, UP_RIGHT: 2 - np.sqrt(2), RIGHT: 2, DOWN: 4, (0, 0): 1}
    for move, cost in expected.items():
        assert costs[joystick(move, False)] == pytest.approx(cost)
        assert costs[joystick(move, True)] == pytest.approx(cost + 1)


def test_only_the_plan_is_free_and_distances_are_mutual():
    table = np.stack([costs_of(move, fire) for fire in (False, True) for move in MOVES])
    numbers = [joystick(move, fire) for fire in (False, True) for move in MOVES]
    mutual = table[:, numbers]
    np.testing.assert_allclose(mutual, mutual.T)
    assert ((mutual == 0) == np.eye(18, dtype=bool)).all()


def test_neighbors_in_the_order_of_the_heads_are_alike():
    """Of the 16 moves, all but those where the button changes are nearest to their neighbors."""
    order = AtariOrder()
    for direction, move in enumerate(MOVES[1:]):
        for fire in (False, True):
            around = costs_of(move, fire)[list(order.actions)]
            place = int(order.places(np.array(joystick(move, fire))))
            ring = around[9:17] if fire else around[1:9]
            here = place - (9 if fire else 1)
            steps = np.minimum(abs(np.arange(8) - here), 8 - abs(np.arange(8) - here))
            assert (np.diff(ring[np.argsort(steps, kind="stable")]) > -1e-9).all(), direction


def decisions(temperature, ram, number):
    decide = SoftSeaquest(temperatures=[temperature]).decider(
        temperature, np.random.default_rng(0)
    )
    return [decide(ram) for _ in range(number)]


def test_actions_are_drawn_as_often_as_they_say():
    ram = memory(lane=0, enemies=4, at=130, kind=8)  # two lanes below: the plan is DOWN
    drawn = decisions(1.0, ram, 4_000)
    weights = np.exp(-costs_of(DOWN, False))
    chances = weights / weights.sum()
    assert all(np.allclose(each.chances, chances) for each in drawn)
    counts = np.bincount([each.action for each in drawn], minlength=18)
    assert scipy.stats.chisquare(counts, 4_000 * chances).pvalue > 0.01


def test_without_temperature_the_captain_is_the_expert():
    pytest.importorskip("ale_py")
    environment = make(Seaquest.environment)
    seen, _ = environment.reset(seed=4)
    expert = Captain(Skill(), np.random.default_rng(0))
    cold = SoftSeaquest(temperatures=[0.0]).player(0.0, np.random.default_rng(1))
    for _ in range(300):
        action = expert(seen)
        assert cold(seen) == action
        seen, *_ = environment.step(action)
    environment.close()


@pytest.fixture(scope="module")
def hot():
    """Soon over: the captain hardly cares."""
    pytest.importorskip("ale_py")
    return SoftSeaquest(steps=500, temperatures=[20.0, 50.0], seed=2)


def test_what_is_recorded_is_what_was_drawn_from(hot):
    """Randomized in the jump of an action, the probability of a lower number is uniform."""
    episodes = hot.read().checked()
    steps = np.arange(len(episodes.action))
    sums = episodes.chances.cumsum(-1)
    chance = episodes.chances[steps, episodes.action]
    below = sums[steps, episodes.action] - chance
    uniform = below + chance * np.random.default_rng(0).random(len(steps))
    assert scipy.stats.kstest(uniform, "uniform").pvalue > 0.01
    assert episodes.chances.shape == (len(steps), 18)


@pytest.mark.slow
def test_chances_go_with_frames_too(hot):
    film, played = AtariEpisodes(hot).read(), hot.read()
    assert np.array_equal(film.action, played.action)
    assert np.array_equal(film.chances, played.chances)


def test_data_know_the_truth_in_the_order_of_the_heads():
    pytest.importorskip("ale_py")
    source = SoftSeaquest(steps=1_200, temperatures=[20.0], seed=2)
    data = TrajectoryData(source, length=10, order=AtariOrder())
    windows = data.dataset("val")
    batch = windows.__getitems__(list(range(len(windows))))
    step = batch.mask.nonzero()[-1]
    action, chances = data.truth(batch).probs[tuple(step)], batch.chances[tuple(step)]
    assert torch.allclose(action, chances[list(AtariOrder().actions)])


def test_temperatures_that_cannot_be_played_are_one_sentence():
    for temperatures in ([-1.0], []):
        with pytest.raises(ValueError, match=r"SoftSeaquest: .*cannot be played; use"):
            SoftSeaquest(temperatures=temperatures)
