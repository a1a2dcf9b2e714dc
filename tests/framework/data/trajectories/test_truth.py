"""Recorded chances: what actions were drawn from, from the source to the batch."""

import numpy as np
import pytest
import scipy.stats
import torch

from components.supports import Interval, Tokens
from framework.data.baselines import NONE
from framework.data.trajectories.controllers import Pendulum
from framework.data.trajectories.episodes import Episodes
from framework.data.trajectories.module import TrajectoryData
from framework.data.trajectories.orders import ActionOrder
from framework.data.trajectories.soft_pendulum import SoftPendulum
from framework.data.trajectories.truth import kl_of_constant, steps_of, true_distribution
from tests.framework.data.trajectories.test_module import Fixed, everything, made

ORDER = [2, 0, 3, 1]
CELLS = 16


def with_chances(**options):
    """Episodes whose chances count the steps in their first entry."""
    episodes = made(**options)
    steps, *shape = episodes.action.shape
    chances = np.random.default_rng(1).dirichlet(np.ones(4), size=(steps, *shape))
    return episodes._replace(chances=chances.astype(np.float32))


@pytest.fixture(scope="module")
def played():
    return SoftPendulum(steps=2_000, temperatures=[0.5, 2.0], cells=CELLS, seed=3).read()


def test_chances_of_torques_are_those_of_their_formula(played):
    middles = -2 + 4 * (np.arange(CELLS) + 0.5) / CELLS
    for step in (0, 7, 250, 399, 1_100):
        temperature = (0.5, 2.0)[step // 200 % 2]
        wanted = np.clip(Pendulum.wanted(played.observation[step]), -2, 2)
        weights = np.exp(-((middles - wanted) ** 2) / temperature)
        np.testing.assert_allclose(played.chances[step, 0], weights / weights.sum(), rtol=1e-5)


def test_torques_are_drawn_from_what_is_recorded(played):
    """The probability of less than was drawn is uniform between 0 and 1."""
    truth = true_distribution(torch.from_numpy(played.chances), Interval(-2.0, 2.0, (1,)))
    below = truth.base_dist.cdf(torch.from_numpy(played.action)).flatten()
    assert scipy.stats.kstest(below, "uniform").pvalue > 0.01
    assert played.action.dtype == np.float32


def test_a_cold_expert_takes_the_torque_that_the_controller_wants():
    source, random = SoftPendulum(cells=256), np.random.default_rng(0)
    decide = source.player(1e-6, random)
    for angle, speed in random.uniform((-np.pi, -8), (np.pi, 8), size=(50, 2)):
        seen = np.array([np.cos(angle), np.sin(angle), speed])
        assert decide(seen).item() == pytest.approx(Pendulum.wanted(seen), abs=4 / 256)


def test_cells_and_temperatures_are_part_of_the_key():
    keys = [
        SoftPendulum(seed=1, **options).key()
        for options in ({}, {"cells": 65}, {"temperatures": [0.6]}, {"steps": 9})
    ]
    assert all(one != other for k, one in enumerate(keys) for other in keys[:k])


@pytest.mark.parametrize("options", [{"temperatures": [0.0]}, {"cells": 1}, {"temperatures": []}])
def test_what_cannot_be_drawn_is_one_sentence(options):
    with pytest.raises(
        ValueError, match=r"SoftPendulum: .*(leave nothing to draw|cannot be play)"
    ):
        SoftPendulum(**options)


@pytest.mark.parametrize("action", [(), (2,)])
@pytest.mark.parametrize("split", ["val", "test"])
def test_windows_hold_the_chances_of_their_own_steps(split, action):
    episodes = with_chances(action=action)
    data = TrajectoryData(Fixed(episodes, name=f"known{action}"), length=4, holdout=0.34)
    batch = everything(data.dataset(split))
    step = batch.observation[..., 0].long()  # counts the steps of all episodes
    expected = torch.from_numpy(episodes.chances)[step]
    assert torch.equal(batch.chances[batch.mask], expected[batch.mask])
    assert torch.equal(batch.target, batch.action)
    plain = TrajectoryData(
        Fixed(made(action=action), name=f"plain{action}"), length=4, holdout=0.34
    )
    same = everything(plain.dataset(split))
    assert all(torch.equal(a, b) for a, b in zip(batch[:-1], same, strict=True))
    assert not hasattr(everything(data.dataset("train")), "chances")


def test_the_truth_follows_the_order_of_the_actions():
    plain, ordered = (
        TrajectoryData(Fixed(with_chances(), name="four"), length=4, order=order, holdout=0.34)
        for order in (None, ActionOrder(ORDER))
    )
    batches = [everything(data.dataset("val")) for data in (plain, ordered)]
    known = batches[0].mask
    one, other = (
        data.truth(batch).log_prob(batch.target)[known]
        for data, batch in zip((plain, ordered), batches, strict=True)
    )
    torch.testing.assert_close(one, other)
    assert len(one.unique()) > 5
    assert not torch.equal(batches[0].target, batches[1].target)
    probabilities = ordered.truth(batches[1]).probs[known]
    torch.testing.assert_close(probabilities, plain.truth(batches[0]).probs[known][:, ORDER])


def test_where_chances_are_unknown_there_is_no_truth():
    data = TrajectoryData(Fixed(made()), length=4)
    assert data.truth(everything(data.dataset("val"))) is None
    assert data.baselines("val", [1], {"kl"}) is NONE


def test_the_constant_prediction_by_hand():
    """The truth is (1, 0), then (0, 1); a prediction of (3/4, 1/4) costs ln 4/3 and ln 4."""
    known = np.array([[1.0, 0.0], [0.5, 0.5]], np.float32)
    found = kl_of_constant(known, np.eye(2, dtype=np.float32), Tokens(2))
    assert found == pytest.approx((np.log(4 / 3) + np.log(4)) / 2, rel=1e-6)


def test_the_constant_prediction_is_that_of_the_training_episodes():
    episodes = with_chances()
    data = TrajectoryData(Fixed(episodes, name="four"), length=4)
    split = np.repeat(np.arange(len(episodes.length)), episodes.length)
    train, val = (
        episodes.chances[np.isin(split, data.archive.split[name])] for name in ("train", "val")
    )
    average = train.mean(0)
    expected = (val * np.log(val / average)).sum(-1).mean()
    scores = data.baselines("val", [1], {"kl", "nll"}).scores
    assert scores["constant"]["kl"] == pytest.approx(expected, rel=1e-5)
    assert data.baselines("val", [1], {"nll"}) is NONE


def test_steps_of_episodes_are_listed():
    assert steps_of(np.array([3, 10]), np.array([2, 3])).tolist() == [3, 4, 10, 11, 12]


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        (np.full((36, 4), 0.3), r"chances of the action at step 0 of all are no probabilities"),
        (np.full((35, 4), 0.25), r"chances has 35 rows, action 36; give what"),
        (np.full((36, 5), 0.2), r"Fixed: the chances of an action have the shape \(5,\), the act"),
    ],
)
def test_chances_that_do_not_fit_are_one_sentence(chances, message):
    episodes = made()._replace(chances=chances.astype(np.float32))
    with pytest.raises(ValueError, match=message):
        TrajectoryData(Fixed(episodes, name=message), length=4).dataset("val")


def test_episodes_with_and_without_chances_are_not_joined():
    parts: list[Episodes] = [made(), with_chances()]
    with pytest.raises(ValueError, match=r"Episodes differ in the chances \(floats of shape"):
        Episodes.join(parts)
