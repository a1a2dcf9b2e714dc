"""Draws by costs: Boltzmann's ratios, its limits, and frequencies."""

import numpy as np
import pytest
import scipy.stats

from framework.data.trajectories.drawing import boltzmann, draw


def test_ratios_of_probabilities_are_those_of_boltzmann():
    costs = np.random.default_rng(0).normal(size=(4, 6))
    chances = boltzmann(costs, 0.7)
    np.testing.assert_allclose(chances.sum(-1), 1)
    ratios = chances[:, :, None] / chances[:, None]
    np.testing.assert_allclose(ratios, np.exp((costs[:, None] - costs[:, :, None]) / 0.7))


def test_what_is_added_to_all_costs_does_not_matter():
    costs = np.array([0.0, 3.0, 1.0])
    np.testing.assert_allclose(boltzmann(costs, 0.1), boltzmann(costs - 1e6, 0.1))
    assert np.isfinite(boltzmann(1e6 * costs, 1e-3)).all()


def test_a_small_temperature_is_certain_and_a_large_one_indifferent():
    costs = np.array([[2.0, 1.0, 3.0], [0.0, 5.0, 0.0]])
    assert boltzmann(costs, 0).tolist() == [[0, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(boltzmann(costs[0], 1e-3), boltzmann(costs[0], 0))
    np.testing.assert_allclose(boltzmann(costs, 1e9), 1 / 3)


def test_choices_occur_as_often_as_they_should():
    random, chances = np.random.default_rng(1), np.array([0.1, 0.0, 0.6, 0.3, 0.0])
    counts = np.bincount([draw(chances, random) for _ in range(5_000)], minlength=5)
    possible = chances > 0
    assert not counts[~possible].any()
    assert scipy.stats.chisquare(counts[possible], 5_000 * chances[possible]).pvalue > 0.01


class Largest:
    """Draws the largest number below 1."""

    def random(self):
        return np.nextafter(1.0, 0.0)


@pytest.mark.parametrize("chances", [[0.3, 0.7, 0.0], [1.0], [1 / 3] * 3, [0.1] * 10 + [0.0]])
def test_the_largest_number_draws_the_last_possible_choice(chances):
    chances = np.array(chances)
    assert draw(chances, Largest()) == np.flatnonzero(chances)[-1]
