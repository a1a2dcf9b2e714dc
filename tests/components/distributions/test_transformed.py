"""Transformed Fourier densities against scipy, autograd and quadrature in float64."""

import math

import pytest
import scipy.stats
import torch
from every_distribution import randn, tensor

from components.distributions import ErfWarp, FourierDensity, TanhWarp, TransformedFourier

every_warp = pytest.mark.parametrize("warp", [TanhWarp(), ErfWarp()], ids=["tanh", "erf"])
KNOWN = [(TanhWarp(), scipy.stats.logistic(0.7, 1.0)), (ErfWarp(), scipy.stats.norm(0.7, 2.0))]


@pytest.mark.parametrize(("warp", "known"), KNOWN, ids=["logistic", "normal"])
def test_without_waves_it_is_a_distribution_that_scipy_knows(warp, known):
    distribution = TransformedFourier(tensor(3.0, 0.0), warp, 0.7, 2.0)
    x = torch.linspace(-14, 16, 31, dtype=torch.float64)
    torch.testing.assert_close(distribution.log_prob(x), torch.from_numpy(known.logpdf(x.numpy())))
    torch.testing.assert_close(distribution.cdf(x), torch.from_numpy(known.cdf(x.numpy())))
    levels = torch.linspace(0.01, 0.99, 9, dtype=torch.float64)
    torch.testing.assert_close(
        distribution.icdf(levels), torch.from_numpy(known.ppf(levels.numpy()))
    )
    for found, expected in (
        (distribution.mean, known.mean()),
        (distribution.variance, known.var()),
        (distribution.entropy(), known.entropy()),
        (distribution.mode, 0.7),
    ):
        assert found.item() == pytest.approx(float(expected), abs=1e-9)


@every_warp
def test_density_is_that_of_z_times_the_slope(warp):
    a, y = randn(3, 14), randn(3, seed=1).requires_grad_()
    z = warp.squeeze(y)
    (slope,) = torch.autograd.grad(z.sum(), y)
    expected = FourierDensity(a, -1, 1).log_prob(z) + slope.log()
    torch.testing.assert_close(TransformedFourier(a, warp, 0.0, 1.0).log_prob(y), expected)


@every_warp
def test_maps_and_slopes_belong_together(warp):
    y = torch.linspace(-4, 4, 41, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(warp.invert(warp.squeeze(y)), y, atol=1e-9, rtol=0)
    (bend,) = torch.autograd.grad(warp.log_slope(y).sum(), y)
    torch.testing.assert_close(warp.bend(y), bend)


@every_warp
@pytest.mark.parametrize(
    "frequencies", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (30, 90))]
)
def test_moments_are_integrals_of_many_waves(warp, frequencies):
    distribution = TransformedFourier(randn(2, 2 * (frequencies + 1)), warp, 0.5, 2.0)
    x = torch.linspace(-60, 60, 20_001, dtype=torch.float64)
    density = distribution.log_prob(x.unsqueeze(-1)).exp()
    mean = torch.trapezoid(density.T * x, x)
    variance = torch.trapezoid(density.T * (x - mean.unsqueeze(-1)).square(), x)
    torch.testing.assert_close(distribution.mean, mean)
    torch.testing.assert_close(distribution.variance, variance)


@every_warp
def test_far_outcomes_score_finitely_in_float32(warp):
    a = randn(14, dtype=torch.float32).requires_grad_()
    distribution = TransformedFourier(a, warp, 0.5, 2.0)
    x = torch.tensor([-1e30, -1e8, -100.0, 100.0, 1e8, 1e30], requires_grad=True)
    log_prob = distribution.log_prob(x)
    assert log_prob.isfinite().all()
    log_prob.sum().backward()
    assert x.grad.isfinite().all()
    assert a.grad.isfinite().all()


def test_tails_fall_as_documented():
    a = randn(14)
    far = torch.tensor([40.0, 50.0], dtype=torch.float64)
    fall = TransformedFourier(a, TanhWarp(), 0.0, 1.0).log_prob(far).diff()
    assert fall.item() == pytest.approx(-20, abs=1e-6)
    fall = TransformedFourier(a, ErfWarp(), 0.0, 1.0).log_prob(far).diff()
    assert fall.item() == pytest.approx(-(50**2 - 40**2) / 2, abs=1e-6)


@every_warp
def test_draws_are_finite_also_at_the_ends(warp):
    distribution = TransformedFourier(randn(14, dtype=torch.float32), warp, 0.5, 2.0)
    ends = distribution.icdf(torch.tensor([0.0, 1.0]))
    assert ends.isfinite().all()
    assert ends[0] < -5 < 5 < ends[1]


@pytest.mark.slow
def test_mode_is_found_among_many_waves():
    angle = -math.pi * torch.arange(41, dtype=torch.float64) * 0.3217
    distribution = TransformedFourier(torch.cat((angle.cos(), angle.sin())), TanhWarp(), 0.0, 1.0)
    x = torch.linspace(0.2, 0.5, 150_001, dtype=torch.float64)
    assert distribution.mode.item() == pytest.approx(
        x[distribution.log_prob(x).argmax()].item(), abs=3e-6
    )


def test_a_spread_of_nothing_is_named():
    with pytest.raises(ValueError, match=r"^TransformedFourier: scale=0 is not positive"):
        TransformedFourier(torch.ones(4), TanhWarp(), 0, 0)
