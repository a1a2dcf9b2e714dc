"""Exact masses of cells against differences of the distribution function."""

import math

import numpy as np
import pytest
import torch
from every_distribution import randn

from components.distributions import FourierCategorical, FourierDensity, FourierHistogram
from components.distributions.quadrature import gauss_legendre

EVEN = tuple(k / 40 for k in range(41))
FINE_AND_COARSE = (0.0, 1.0, 1.001, 1.5, 1.51, 4.0, 9.0, 10.0)


def differences(a, edges):
    """F(e_{j+1}) - F(e_j), which float64 can afford."""
    density = FourierDensity(a, edges[0], edges[-1])
    return density.cdf(torch.tensor(edges, dtype=torch.float64).unsqueeze(-1)).diff(dim=0).T


@pytest.mark.parametrize("frequencies", [0, 3, 39, 70])
@pytest.mark.parametrize("edges", [EVEN, FINE_AND_COARSE])
def test_masses_are_differences_of_the_distribution_function(frequencies, edges):
    a = randn(3, 2 * (frequencies + 1))
    distribution, expected = FourierHistogram(a, edges), differences(a, edges)
    close = {"atol": 1e-12, "rtol": 1e-9}
    torch.testing.assert_close(distribution.probs, expected, **close)
    every = torch.arange(distribution.size).unsqueeze(-1)
    torch.testing.assert_close(distribution.log_prob(every).exp().T, expected, **close)
    coarse = FourierHistogram(a.float(), edges)
    torch.testing.assert_close(coarse.probs.double(), expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(coarse.log_prob(every).T, coarse.log_probs, atol=1e-4, rtol=0)


def test_fourier_transform_and_matrix_products_give_the_same():
    """Even cells take the first, and cells that are not quite even the second."""
    a = randn(2, 2 * 36)
    edges = (*EVEN[:-1], EVEN[-1] + 1e-6)
    even, uneven = FourierHistogram(a, EVEN), FourierHistogram(a, edges)
    torch.testing.assert_close(even.probs, uneven.probs, atol=1e-4, rtol=0)
    torch.testing.assert_close(uneven.probs, differences(a, edges), atol=1e-12, rtol=1e-9)


def test_gradient_is_that_of_the_difference():
    a = randn(4, 14).requires_grad_()
    index = torch.tensor([0, 1, 5, 6])
    FourierHistogram(a, FINE_AND_COARSE).log_prob(index).sum().backward()
    found, a.grad = a.grad.clone(), None
    differences(a, FINE_AND_COARSE).gather(-1, index.unsqueeze(-1)).log().sum().backward()
    torch.testing.assert_close(found, a.grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("frequencies", [8, 128, 550])
def test_masses_beside_spikes_are_neither_negative_nor_lost(frequencies):
    """Differences of the distribution function in float32 are negative there."""
    k = torch.arange(frequencies + 1)
    window = 1 + torch.cos(math.pi * k / (frequencies + 1))
    a = torch.cat((window, torch.zeros(frequencies + 1))).requires_grad_()
    edges = tuple(np.sort(np.random.default_rng(0).uniform(-1, 1, 2000)).tolist())
    distribution = FourierHistogram(a, edges)
    index = torch.arange(distribution.size)[::50]
    log_prob = distribution.log_prob(index)
    assert log_prob.isfinite().all()
    log_prob.sum().backward()
    assert a.grad.isfinite().all()
    exact = differences(a.detach().double().unsqueeze(0), edges)[0, ::50]
    torch.testing.assert_close(log_prob.exp().double(), exact, atol=1e-7, rtol=1e-3)


def test_many_even_cells_have_nearly_the_density_at_their_centers():
    a = randn(3, 10)
    masses, centers = FourierHistogram(a, EVEN), FourierCategorical(a, 40)
    damped = math.sin(math.pi / 10) / (math.pi / 10)  # the fastest wave, averaged over a cell
    assert (masses.probs - centers.probs).abs().max() < (1 - damped) * 5 / 40
    assert (masses.probs - centers.probs).abs().max() > 1e-5


@pytest.mark.parametrize("order", [1, 2, 7, 40])
def test_quadrature_is_that_of_gauss_and_legendre(order):
    nodes, weights = gauss_legendre(order)
    expected_nodes, expected_weights = np.polynomial.legendre.leggauss(order)
    np.testing.assert_allclose(nodes.numpy(), expected_nodes, atol=1e-14)
    np.testing.assert_allclose(weights.numpy(), expected_weights / 2, atol=1e-14)


@pytest.mark.parametrize(
    ("edges", "eps"), [((0.0, 2.0, 1.0), 0.0), ((0.0, 0.0), 0.0), ((1.0,), 0.0), (EVEN, -1e-3)]
)
def test_mistakes_are_named(edges, eps):
    with pytest.raises(ValueError, match=r"^FourierHistogram: "):
        FourierHistogram(torch.ones(4), edges, eps)
