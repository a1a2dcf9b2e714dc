"""Censored distributions and the tails that they are made of, against scipy and sampling."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import torch
from every_distribution import tensor
from torch.autograd import gradcheck
from torch.distributions import Laplace, Normal

from components.distributions import Censored, EvenFourierDensity, Mixture, StudentT, WithAtoms
from components.distributions.tails import clipped_moments, log_ndtr, log_tails

FAR = tensor(-1e4, -300.0, -40.0, -5.0, -0.3, 0.0, 0.4, 6.0, 40.0)


def ones(*shape):
    return torch.ones(shape, dtype=torch.float64)


def test_logarithms_of_normal_tails_are_scipys():
    below, above = log_tails(Normal(0 * ones(), ones(), validate_args=False), FAR)
    expected = torch.from_numpy(scipy.stats.norm.logcdf(FAR.numpy()))
    torch.testing.assert_close(below, expected, rtol=1e-10, atol=1e-300)
    torch.testing.assert_close(above, torch.from_numpy(scipy.stats.norm.logsf(FAR.numpy())))


@pytest.mark.parametrize("df", [2.1, 5.5, 30.0, 400.0])
def test_logarithms_of_student_tails_are_scipys(df):
    student = StudentT(df * ones(), 0 * ones(), ones())
    below = log_tails(student, FAR).below
    with np.errstate(divide="ignore"):
        expected = torch.from_numpy(scipy.stats.t.logcdf(FAR.numpy(), df))
    known = expected > -600  # beyond, scipy has no digits
    torch.testing.assert_close(below[known], expected[known], rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(log_tails(student, -FAR).above, below, rtol=1e-12, atol=0)
    assert below.isfinite().all()
    # far out the tail falls as the power -df
    fall = log_tails(student, tensor(-1e6, -1e7)).below.diff()
    assert fall.item() == pytest.approx(df * math.log(0.1), rel=1e-6)


def test_logarithms_of_a_mixtures_tails_are_those_of_its_parts():
    mixture = Mixture(tensor(0.3, -0.2), tensor(0.0, 1.0), tensor(0.5, 2.0))
    for value in (-60.0, 0.3, 60.0):
        below, above = log_tails(mixture, tensor(value).squeeze())
        parts = [
            (math.log(w), scipy.stats.norm(m, s))
            for w, m, s in zip(mixture.weights.tolist(), (0.0, 1.0), (0.5, 2.0), strict=True)
        ]
        logs = [(w + each.logcdf(value), w + each.logsf(value)) for w, each in parts]
        expected = [np.logaddexp(*side) for side in zip(*logs, strict=True)]
        assert [below.item(), above.item()] == pytest.approx(expected, rel=1e-9)


def test_gradients_of_tails_are_right_in_float32():
    """The hazard φ(z)/Φ(z) is -z - 1/z + 2/z³ - … far below."""
    z = torch.tensor([-1e6, -1e4, -300.0, -30.0], requires_grad=True)
    log_ndtr(z).sum().backward()
    expected = -z.detach() - 1 / z.detach() + 2 / z.detach() ** 3
    torch.testing.assert_close(z.grad, expected, rtol=1e-5, atol=0)
    near = tensor(-6.0, -1.0, 0.0, 2.0, 7.0).requires_grad_()
    assert gradcheck(log_ndtr, (near,))


@pytest.mark.parametrize("kind", ["normal", "student", "mixture"])
def test_gradients_stay_finite_and_point_to_the_target_far_away(kind):
    loc = torch.tensor([-1e4, -30.0, 30.0, 1e4], requires_grad=True)
    scale = torch.full((4,), 1e-3)
    base = {
        "normal": lambda: Normal(loc, scale, validate_args=False),
        "student": lambda: StudentT(torch.full((4,), 5.0), loc, scale),
        "mixture": lambda: Mixture(torch.zeros(4, 1), loc.unsqueeze(-1), scale.unsqueeze(-1)),
    }[kind]()
    distribution = Censored(base, -1.0, 1.0)
    for bound, sign in ((-1.0, -1), (1.0, 1)):
        (gradient,) = torch.autograd.grad(
            distribution.log_prob(torch.full((4,), bound)).sum(), loc, retain_graph=True
        )
        assert gradient.isfinite().all()
        assert (sign * gradient >= 0).all()
        assert (gradient[loc * sign < 0].abs() > 1e-5).all()


def test_a_censored_normal_is_what_scipy_integrates():
    loc, scale, low, high = 0.4, 0.9, -0.75, 1.5
    normal, x = scipy.stats.norm(loc, scale), tensor(-0.75, -0.2, 1.0, 1.5)
    distribution = Censored(Normal(loc * ones(), scale * ones()), low, high)
    expected = [normal.logcdf(low), normal.logpdf(-0.2), normal.logpdf(1.0), normal.logsf(high)]
    assert distribution.log_prob(x).tolist() == pytest.approx(expected)
    clipped = [
        low**k * normal.cdf(low)
        + high**k * normal.sf(high)
        + scipy.integrate.quad(lambda t, k=k: t**k * normal.pdf(t), low, high)[0]
        for k in (1, 2)
    ]
    assert distribution.mean.item() == pytest.approx(clipped[0])
    assert distribution.variance.item() == pytest.approx(clipped[1] - clipped[0] ** 2)


@pytest.mark.parametrize("df", [1.5, 2.0001, 3.0])
def test_moments_of_clipped_student_values_exist_for_all_degrees_of_freedom(df):
    student = scipy.stats.t(df, 0.3, 0.8)
    low, high = -2.0, 5.0
    expected = [
        low**k * student.cdf(low)
        + high**k * student.sf(high)
        + scipy.integrate.quad(lambda t, k=k: t**k * student.pdf(t), low, high)[0]
        for k in (1, 2)
    ]
    mean, variance = clipped_moments(StudentT(df * ones(), 0.3 * ones(), 0.8 * ones()), low, high)
    assert mean.item() == pytest.approx(expected[0], rel=1e-8)
    assert variance.item() == pytest.approx(expected[1] - expected[0] ** 2, rel=1e-7)


def test_a_distribution_without_closed_form_is_integrated():
    laplace = Laplace(tensor(0.3, -4.0), tensor(0.7, 2.0))
    mean, variance = clipped_moments(laplace, -1.0, 2.0)
    levels = (torch.arange(2_000_000, dtype=torch.float64) + 0.5) / 2_000_000
    drawn = laplace.icdf(levels.unsqueeze(-1)).clamp(-1.0, 2.0)
    torch.testing.assert_close(mean, drawn.mean(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(variance, drawn.var(0), atol=1e-4, rtol=0)


def test_the_heavier_bound_is_the_mode_if_it_outweighs_the_density():
    base = Normal(tensor(-9.0, 0.2, 0.9, 9.0), ones(4), validate_args=False)
    assert Censored(base, -1.0, 1.0).mode.tolist() == [-1.0, 0.2, 0.9, 1.0]


def test_values_beyond_a_bound_score_as_if_they_lay_on_it():
    distribution = Censored(Normal(ones(), ones()), -1.0, 1.0)
    on, beyond = (distribution.log_prob(tensor(*x)) for x in ((-1.0, 1.0), (-7.0, 2.5)))
    torch.testing.assert_close(on, beyond)
    assert distribution.cdf(tensor(-1.01, 1.0, 2.0)).tolist() == [0.0, 1.0, 1.0]


def test_wrong_atoms_and_bounds_are_named():
    normal = Normal(ones(3), ones(3))
    with pytest.raises(ValueError, match=r"^Censored: low=1.0 must be less than high=1.0\.$"):
        Censored(normal, 1.0, 1.0)
    with pytest.raises(ValueError, match=r"^WithAtoms: atoms \(\) must be one or more"):
        WithAtoms(normal, ones(3, 1), ())
    with pytest.raises(ValueError, match=r"^WithAtoms: 2 atoms have 3 logits, .* got 2\.$"):
        WithAtoms(normal, ones(3, 2), (0.0, 1.0))
    with pytest.raises(ValueError, match=r"^EvenFourierDensity: low=1 must be less than high=0"):
        EvenFourierDensity(ones(4), 1, 0)
