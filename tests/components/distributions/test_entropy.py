"""Entropies of what is far apart, and gradients where probabilities vanish."""

import pytest
import torch

from components.distributions import (
    Categorical,
    Censored,
    FourierDensity,
    Histogram,
    Mixture,
    WithAtoms,
)


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
    for make in (Categorical, lambda x: Histogram(Categorical(x), torch.arange(4.0))):
        (gradient,) = torch.autograd.grad(make(logits).entropy(), logits)
        torch.testing.assert_close(gradient[[0, 2]], expected)
        assert gradient[1] == 0


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
