"""A batch of no rows, as a mask may leave, has results of no rows, and a gradient."""

import pytest
import torch
from every_distribution import DISCRETE, MIXED, REAL, discrete, real, statistics

from components.distributions import FourierDensity


@pytest.mark.parametrize("name", [*REAL, *MIXED])
def test_no_values(name):
    distribution = real(name, 0)
    target = torch.zeros(0, dtype=torch.float64)
    for found in (*statistics(distribution, target), distribution.mode):
        assert found.shape == (0,)
    assert distribution.icdf(torch.full((5, 0), 0.3, dtype=torch.float64)).shape == (5, 0)
    assert distribution.sample((2,)).shape == (2, 0)


@pytest.mark.parametrize("name", DISCRETE)
def test_no_outcomes(name):
    distribution = discrete(name, 0)
    target = torch.zeros(0, dtype=torch.int64)
    for found in (*statistics(distribution, target), distribution.mode):
        assert found.shape == (0,)
    assert distribution.probs.shape == (0, 8)
    assert distribution.sample((2,)).shape == (2, 0)
    assert [part.shape for part in distribution.largest(3)] == [(0, 3)] * 2


def test_no_values_have_a_gradient():
    coefficients = torch.zeros(0, 10, requires_grad=True)
    distribution = FourierDensity(coefficients, -1.0, 1.0)
    (distribution.mean.sum() + distribution.log_prob(torch.zeros(0)).sum()).backward()
    assert coefficients.grad.shape == (0, 10)
