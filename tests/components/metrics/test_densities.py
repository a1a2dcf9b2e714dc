"""Distances of predicted densities from the truth, against scipy and brute force."""

import math
from functools import partial
from itertools import chain, combinations

import numpy as np
import pytest
import scipy.stats
import torch
from torch.distributions import Normal

from components.distributions import FourierDensity, Histogram
from components.distributions.categorical import Categorical
from components.heads import EvenMixtureHead, FourierHead, LinearHead
from components.metrics.densities import (
    divergence,
    divergence_of_cells,
    errors_of_cells,
    grid,
    log_density,
    measure,
    read_cells,
    total_variation,
)
from components.metrics.smoothness import smoothness
from components.supports import Interval

INTERVAL = Interval(-1.0, 1.0)
TRUTH = Normal(torch.linspace(-0.7, 0.7, 6, dtype=torch.float64).view(3, 2), 0.1)
HEADS = {
    "linear": partial(LinearHead, bins=50),
    "fourier-cells": partial(FourierHead, frequencies=7, bins=50, eps=1e-5),
    "fourier": partial(FourierHead, frequencies=7, init="official"),
    "mixture": EvenMixtureHead,
}


def distribution(name):
    torch.manual_seed(0)
    head = HEADS[name](dim=4, support=INTERVAL).double()
    return head(torch.randn(3, 2, 4, dtype=torch.float64))


@pytest.mark.parametrize("name", HEADS)
def test_density_on_a_grid_is_that_of_every_value(name):
    prediction = distribution(name)
    values = torch.linspace(-1.1, 1.1, 40, dtype=torch.float64)
    expected = torch.stack([prediction.log_prob(v.expand(3, 2)) for v in values], -1)
    torch.testing.assert_close(log_density(prediction, values), expected, rtol=1e-9, atol=1e-9)


def test_the_fourier_distribution_of_zeros_is_uniform_on_a_grid():
    uniform = FourierDensity(torch.zeros(2, 6), -1.0, 3.0)
    found = log_density(uniform, torch.linspace(-1, 3, 5))
    torch.testing.assert_close(found, torch.full((2, 5), -math.log(4)))


@pytest.mark.parametrize(("name", "cells"), [("linear", 50), ("fourier-cells", 50)])
def test_divergence_of_cells_is_the_relative_entropy_of_scipy(name, cells):
    prediction = distribution(name)
    centers = (2 * np.arange(cells) + 1 - cells) / cells
    p = scipy.stats.norm(TRUTH.mean.numpy()[..., None], 0.1).pdf(centers)
    q = prediction.cells.probs.detach().numpy()
    expected = scipy.stats.entropy(p, q, axis=-1)
    found = divergence_of_cells(TRUTH, read_cells(prediction, INTERVAL))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-5)


def test_divergence_of_unequal_cells_is_that_of_their_masses():
    """Against integrals of the true density over the cells, by the distribution function."""
    edges = torch.cat((torch.linspace(-1, 0, 301)[:-1], torch.linspace(0, 1, 91))).double()
    torch.manual_seed(0)
    prediction = Histogram(Categorical(torch.randn(3, 2, 390, dtype=torch.float64)), edges)
    cdf = scipy.stats.norm(TRUTH.mean.numpy()[..., None], 0.1).cdf(edges.numpy())
    expected = scipy.stats.entropy(np.diff(cdf), prediction.cells.probs.numpy(), axis=-1)
    found = divergence_of_cells(TRUTH, read_cells(prediction, INTERVAL))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_a_density_is_read_in_a_thousand_cells():
    p = scipy.stats.norm(TRUTH.mean.numpy()[..., None], 0.1)
    q = scipy.stats.norm(0.1, 0.3)
    centers = (np.arange(1000) + 0.5) / 500 - 1
    masses = p.pdf(centers) / p.pdf(centers).sum(-1, keepdims=True)
    expected = (masses * np.log(masses / (q.pdf(centers) * 2 / 1000 + 1e-10))).sum(-1)
    wide = Normal(torch.full((3, 2), 0.1, dtype=torch.float64), 0.3)
    found = divergence_of_cells(TRUTH, read_cells(wide, INTERVAL))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_impossible_cell_costs_what_the_floor_costs():
    logits = torch.full((1, 4), -math.inf, dtype=torch.float64)
    logits[0, 0] = 0.0
    cells = Histogram(Categorical(logits), torch.linspace(-1, 1, 5, dtype=torch.float64))
    right = Normal(torch.tensor([0.75], dtype=torch.float64), 0.01)
    found = divergence_of_cells(right, read_cells(cells, INTERVAL))
    assert found.item() == pytest.approx(10 * math.log(10))


def test_divergence_of_a_histogram_is_a_sum():
    values = torch.linspace(-0.95, 0.95, 20, dtype=torch.float64)
    p = torch.rand(3, 20, dtype=torch.float64) + 0.1
    q = torch.rand(3, 20, dtype=torch.float64) + 0.1
    p, q = (x / x.sum(-1, keepdim=True) for x in (p, q))
    width = float(values[1] - values[0])
    expected = (p * (p / q).log()).sum(-1)
    torch.testing.assert_close(divergence((p / width).log(), (q / width).log(), width), expected)


def test_errors_of_cells():
    """Four cells of width ½, masses .1 .2 .3 .4: the mean index 2.0 is cell 2, the mode cell 3."""
    masses = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    cells = Histogram(Categorical(masses.log()), torch.linspace(-1, 1, 5))
    found = errors_of_cells(cells, torch.tensor([-0.9]))
    assert found["squared_error_of_mean_cell"].item() == pytest.approx((0.25 + 0.75) ** 2)
    assert found["squared_error_of_mode_cell"].item() == pytest.approx((0.75 + 0.75) ** 2)
    torch.testing.assert_close(found["smoothness"], smoothness(masses))
    assert errors_of_cells(Normal(0.0, 1.0), torch.tensor(0.0)) == {}


@pytest.mark.parametrize("name", HEADS)
def test_what_is_measured(name):
    target = torch.zeros(3, 2, dtype=torch.float64)
    found = measure(distribution(name), target, TRUTH, INTERVAL)
    assert all(value.shape == (3, 2) for value in found.values())
    assert ("smoothness" in found) == (name in ("linear", "fourier-cells"))
    assert {"kl", "kl_cells", "crps", "squared_error"} <= set(found)
    assert not {"kl", "kl_cells"} & set(measure(distribution(name), target, None, INTERVAL))
    near = 0.01 if name in ("linear", "fourier-cells") else 1e-3  # cells are constant inside
    torch.testing.assert_close(found["kl"], found["kl_cells"], rtol=0.02, atol=near)


def test_the_grid_has_the_centers_of_cells():
    values, width = grid(Interval(0.0, 1.0), 4, torch.device("cpu"))
    assert (values.tolist(), width) == ([0.125, 0.375, 0.625, 0.875], 0.25)


def events(cells):
    return chain.from_iterable(combinations(range(cells), k) for k in range(cells + 1))


@pytest.mark.parametrize("mass", [1.0, 0.9])
def test_total_variation_is_the_largest_difference_over_all_events(mass):
    torch.manual_seed(0)
    first = torch.rand(6, dtype=torch.float64).softmax(0)
    second = mass * torch.rand(6, dtype=torch.float64).mul(3).softmax(0)
    whole = [
        torch.cat((distribution, 1 - distribution.sum(0, keepdim=True)))
        for distribution in (first, second)
    ]
    largest = max(sum(whole[0][k] - whole[1][k] for k in event) for event in events(7))
    torch.testing.assert_close(total_variation(first, second), torch.as_tensor(largest))


def test_total_variation_of_equal_and_of_disjoint_distributions():
    distributions = torch.eye(3)
    expected = 1 - torch.eye(3)
    torch.testing.assert_close(
        total_variation(distributions.unsqueeze(1), distributions), expected
    )
