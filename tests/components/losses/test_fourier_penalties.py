"""The two regularizers of Fourier distributions: coefficient penalty and roughness."""

import json
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from components.distributions import Affine, FourierCategorical, FourierDensity, Histogram
from components.losses import CoefficientPenalty, Roughness

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "distributions" / "fourier_head.json").read_text()
)["cases"]
F64 = torch.float64
NOTHING = torch.zeros(1)  # what happened does not matter


def coefficients(*shape):
    return torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_the_authors_penalty_is_the_same(case):
    """Of G1 it is 64.76927888; G3 has more frequencies than cells."""
    a = torch.tensor(case["coefficients"], dtype=F64)
    golden = case["float64"]["reg_official_gamma1"]
    for distribution in (
        FourierDensity(a, -1, 1),
        FourierCategorical(a, case["n_bins"], case["eps"]),
        Histogram(FourierCategorical(a, case["n_bins"]), torch.arange(case["n_bins"] + 1.0)),
    ):
        found = CoefficientPenalty(weight=1e-6)(distribution, NOTHING)
        assert found.tolist() == pytest.approx([golden], rel=1e-9)


@pytest.mark.parametrize("frequencies", [1, 5, 40])
def test_penalty_is_the_roughness_times_the_squared_power(frequencies):
    a = coefficients(2, 2 * (frequencies + 1))
    distribution = FourierDensity(a, -1, 1)
    z = torch.linspace(-1, 1, 20001, dtype=F64).unsqueeze(-1).repeat(1, 2).requires_grad_()
    (slope,) = torch.autograd.grad(distribution.log_prob(z).exp().sum(), z)
    integral = torch.trapezoid(slope.square(), z.detach(), dim=0)
    c_0 = a.square().sum(-1)
    found = CoefficientPenalty()(distribution, NOTHING)
    torch.testing.assert_close(found, 4 * c_0.square() * integral, rtol=1e-6, atol=0)


DISTRIBUTIONS = {
    "density": lambda a: FourierDensity(a, 0, 5),
    "cells": lambda a: FourierCategorical(a, 30),
    "cells with eps": lambda a: FourierCategorical(a, 30, 1e-3),
    "histogram": lambda a: Histogram(FourierCategorical(a, 30), torch.linspace(0, 5, 31)),
}
every_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS)


@every_distribution
@pytest.mark.parametrize("scale", [1e-3, 0.5, 1e3])
def test_scale_moves_the_penalty_and_not_the_roughness(distribution, scale):
    a = coefficients(3, 14)
    one, other = DISTRIBUTIONS[distribution](a), DISTRIBUTIONS[distribution](scale * a)
    torch.testing.assert_close(Roughness()(one, NOTHING), Roughness()(other, NOTHING))
    penalty = CoefficientPenalty()
    torch.testing.assert_close(penalty(other, NOTHING), scale**4 * penalty(one, NOTHING))


@every_distribution
def test_gradients_follow_the_formulas(distribution):
    a = coefficients(3, 14).requires_grad_()
    for loss in (CoefficientPenalty(), Roughness()):
        assert torch.autograd.gradcheck(
            lambda a, loss=loss: loss(DISTRIBUTIONS[distribution](a), NOTHING), a
        )
    (along,) = torch.autograd.grad(Roughness()(DISTRIBUTIONS[distribution](a), NOTHING).sum(), a)
    inward = (along * a).sum(-1)  # no scale is better than another
    torch.testing.assert_close(inward, torch.zeros_like(inward))
    penalty = CoefficientPenalty()(DISTRIBUTIONS[distribution](a), NOTHING)
    (along,) = torch.autograd.grad(penalty.sum(), a)
    torch.testing.assert_close((along * a).sum(-1), 4 * penalty)  # Euler, of degree 4


def test_units_move_the_roughness_and_not_the_penalty():
    a = coefficients(3, 14)
    distribution = Histogram(FourierCategorical(a, 30), torch.linspace(0, 5, 31))
    moved = Affine(distribution, torch.tensor(2.0), torch.tensor(10.0))
    penalty, roughness = CoefficientPenalty(), Roughness()
    torch.testing.assert_close(penalty(moved, NOTHING), penalty(distribution, NOTHING))
    torch.testing.assert_close(1e3 * roughness(moved, NOTHING), roughness(distribution, NOTHING))


def test_coefficients_that_are_all_zero_cost_nothing():
    zero = torch.zeros(14, requires_grad=True)
    for distribution in (FourierDensity(zero, -1, 1), FourierCategorical(zero, 30)):
        total = CoefficientPenalty()(distribution, NOTHING) + Roughness()(distribution, NOTHING)
        assert total.item() == 0
        total.backward()
    assert (zero.grad == 0).all()


class Largest(TorchDispatchMode):
    """Watches how many numbers the largest tensor holds, in forward and backward."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self.numbers = max(self.numbers, leaf.untyped_storage().nbytes() // 4)
        return result


@pytest.mark.parametrize("loss", [CoefficientPenalty, Roughness])
def test_no_axis_of_cells_is_built(loss):
    rows, frequencies, size = 64, 16, 4096
    edges = torch.linspace(-1, 1, size + 1)
    a = torch.randn(rows, 2 * (frequencies + 1), requires_grad=True)
    with Largest() as largest:
        loss()(Histogram(FourierCategorical(a, size), edges), NOTHING).sum().backward()
    assert a.grad.abs().sum() > 0
    assert largest.numbers <= max(size + 1, rows * 8 * frequencies)  # zero-padded, complex
