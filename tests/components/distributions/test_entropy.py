"""Entropies of what is far apart, and gradients where probabilities vanish."""

import pytest
import torch
from torch.distributions import Normal

from components.distributions import (
    Categorical,
    CategoricalWithAtoms,
    Censored,
    FourierDensity,
    Histogram,
    Mixture,
    StudentT,
    WithAtoms,
)

AWAY = torch.tensor([0.0, 0.75])  # from one component to the other


@pytest.mark.parametrize("apart", [0.0, 2.0, 8.0, 100.0])
@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_the_entropy_of_a_mixture_misses_no_component(apart, scale):
    loc = torch.tensor([0.0, apart], requires_grad=True)
    mixture = Mixture(torch.tensor([0.0, 0.5]), loc, torch.tensor([1.0, scale]))
    x = torch.linspace(-12, apart + 12, 400_001, dtype=torch.float64)
    log_prob = mixture.log_prob(x)
    expected = torch.trapezoid(-log_prob.exp() * log_prob, x)
    found = mixture.entropy()
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    (by_sum,) = torch.autograd.grad(expected, loc)
    (gradient,) = torch.autograd.grad(found, loc)
    torch.testing.assert_close(gradient, by_sum, atol=1e-4, rtol=0)


@pytest.mark.parametrize("smallest", [-120.0, -200.0, -torch.inf])
def test_what_has_no_probability_leaves_gradients_finite(smallest):
    logits = torch.tensor([0.0, smallest, -1.0], requires_grad=True)
    two = torch.tensor([0.0, -1.0], requires_grad=True)
    (expected,) = torch.autograd.grad(Categorical(two).entropy(), two)
    for make in (
        Categorical,
        lambda x: Histogram(Categorical(x), torch.arange(4.0)),
        lambda x: CategoricalWithAtoms(torch.stack((x[1], 0 * x[0])), Categorical(x), (1,)),
    ):
        (gradient,) = torch.autograd.grad(make(logits).entropy(), logits)
        torch.testing.assert_close(gradient[[0, 2]], expected)
        assert gradient[1] == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "base",
    [
        lambda loc: Mixture(torch.zeros(2), loc + AWAY, torch.tensor([0.1, 1e-3])),
        lambda loc: Mixture(torch.zeros(2), loc - 5 * AWAY, torch.tensor([0.1, 1e-5])),
        lambda loc: Normal(loc, 1e-3, validate_args=False),
        lambda loc: Normal(loc, 3.0, validate_args=False),
    ],
)
def test_entropies_of_clipped_values_miss_no_component(base, dtype):
    """Against a fine sum between the bounds, and both masses."""
    loc = torch.tensor(0.1, dtype=dtype, requires_grad=True)
    exact = loc.detach().double().requires_grad_()
    x = torch.linspace(0, 1, 1_000_001, dtype=torch.float64)
    log_prob = base(exact).log_prob(x)
    below, reached = (base(exact).cdf(torch.tensor(end).double()) for end in (0.0, 1.0))
    inside = torch.trapezoid(-log_prob.exp() * log_prob.clamp_min(-700), x)
    masses = torch.stack((below, 1 - reached)).clamp_min(1e-300)
    expected = inside + torch.special.entr(masses).sum()
    found = Censored(base(loc), 0.0, 1.0).entropy()
    assert found.item() == pytest.approx(expected.item(), abs=2e-6)
    (by_sum,) = torch.autograd.grad(expected, exact)
    (gradient,) = torch.autograd.grad(found, loc)
    assert gradient.item() == pytest.approx(by_sum.item(), abs=1e-4)


def test_what_lies_beyond_a_bound_altogether_leaves_gradients_finite():
    loc, one = torch.tensor([-1e9], requires_grad=True), torch.ones(1)
    for base in (StudentT(3 * one, loc, one), Normal(loc, one), Mixture(one, loc, one)):
        (gradient,) = torch.autograd.grad(Censored(base, 0.0, 1.0).entropy().sum(), loc)
        assert gradient.isfinite()


def test_bounds_that_are_out_of_reach_leave_gradients_finite():
    loc, scale = (torch.tensor(each, requires_grad=True) for each in (0.0, 0.01))
    normal = torch.distributions.Normal(loc, scale, validate_args=False)
    entropy = Censored(normal, -1.0, 1.0).entropy()
    assert entropy.item() == pytest.approx(normal.entropy().item(), abs=1e-4)
    gradient = torch.autograd.grad(entropy, (loc, scale))
    torch.testing.assert_close(gradient[1], 1 / scale.detach(), rtol=1e-3, atol=0)
    assert gradient[0].isfinite()


def test_atoms_that_take_all_leave_gradients_finite():
    weights = torch.tensor([0.0, 0.0, -200.0], requires_grad=True)
    distribution = WithAtoms(FourierDensity(torch.ones(4), 0.0, 1.0), weights, (0.0, 0.5))
    drawn = distribution.rsample((50,)).sum() + distribution.entropy()
    (gradient,) = torch.autograd.grad(drawn, weights)
    assert gradient.isfinite().all()
