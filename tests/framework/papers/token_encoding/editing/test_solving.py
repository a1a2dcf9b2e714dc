"""Calibration: against scipy, in closed form, and where no shift gives what is requested."""

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize

from framework.papers.token_encoding.editing.directions import DIRECTIONS
from framework.papers.token_encoding.editing.shifts import ENOUGH, Shifted, solve, solve_each
from tests.framework.papers.token_encoding.editing.readouts import know, make

OWN, CONTEXTS = make()
KNOWN = know(CONTEXTS)
TOKENS = torch.tensor([3, 17, 40])
LOG_PROBS = CONTEXTS.log_probs(OWN, TOKENS)
SCALES = torch.tensor([[4.0, 0.1, 6.0], [0.05, 3.0, 0.5]]).double()


def profile(name):
    return DIRECTIONS[name](KNOWN).profile(CONTEXTS.hidden)


@pytest.mark.parametrize("scale", [0.02, 0.5, 2.0, 9.0])
def test_one_token_against_a_root_finder(scale):
    probability = LOG_PROBS[:, 0].exp().numpy()
    shape = profile("whiten").numpy()

    def left(amount):
        grown = np.exp(amount * shape)
        after = probability * grown / (1 + probability * (grown - 1))
        return after.mean() / probability.mean() - scale

    found = solve_each(LOG_PROBS[:, 0], profile("whiten"), torch.tensor(scale).double().log())
    assert found.amount.item() == pytest.approx(brentq(left, -30, 30), abs=1e-6)


@pytest.mark.parametrize("scales", SCALES)
def test_a_constant_shift_minimizes_the_convex_function(scales):
    """Spec of the problem: F(c) = mean log(1 + Σ P (e^c - 1)) - Σ t c, minimized by scipy."""
    probability = LOG_PROBS.exp().numpy()
    target = (scales * LOG_PROBS.exp().mean(0)).numpy()

    def convex(amount):
        return np.log1p(probability @ np.expm1(amount)).mean() - target @ amount

    def shares(amount):
        return probability * np.exp(amount) / (1 + probability @ np.expm1(amount))[:, None]

    def gradient(amount):
        return shares(amount).mean(0) - target

    def hessian(amount):
        after = shares(amount)
        return np.diag(after.mean(0)) - after.T @ after / len(after)

    exact = {"jac": gradient, "hess": hessian, "method": "trust-exact"}
    expected = minimize(convex, np.zeros(3), **exact, options={"gtol": ENOUGH}).x
    found = solve(LOG_PROBS, torch.ones(len(CONTEXTS)).double(), scales.log())
    curvature = np.linalg.eigvalsh(hessian(expected)).min()
    distance = 2 * ENOUGH / curvature  # of two points where the gradient is below ENOUGH
    np.testing.assert_allclose(found.amount.numpy(), expected, rtol=0, atol=distance)


@pytest.mark.parametrize("name", ["whiten", "mlr", "mlr-gain", "hbar", "bias"])
@pytest.mark.parametrize("scales", SCALES)
def test_several_tokens_scale_as_asked(name, scales):
    found = solve(LOG_PROBS, profile(name), scales.log())
    shifted = Shifted(LOG_PROBS, profile(name)[:, None] * found.amount)
    torch.testing.assert_close(shifted.log_scale(), scales.log(), rtol=0, atol=1e-9)


def test_nearly_all_probability_is_still_reached():
    """Targets that add up to 0.999 of all probability, from start shares of a tenth."""
    alpha = LOG_PROBS.exp().mean(0)
    scales = 0.333 / alpha
    found = solve(LOG_PROBS, profile("whiten").clamp(min=0.05), scales.log())
    assert found.reaches(scales.log()).all()


def test_one_of_several_is_one_alone():
    pair = solve(LOG_PROBS[:, :2], profile("hbar"), torch.tensor([3.0, 1 + 1e-12]).double().log())
    free = solve(LOG_PROBS[:, :1], profile("hbar"), torch.tensor([3.0]).double().log())
    kept = Shifted(LOG_PROBS[:, :1], profile("hbar")[:, None] * free.amount)
    assert kept.log_scale().exp().item() == pytest.approx(3, rel=1e-9)
    assert pair.reaches(torch.tensor([3.0, 1.0]).double().log()).all()


def test_a_shift_of_both_signs_reaches_no_further_than_it_turns():
    """Two contexts, shifts of +1 and -1 and equal probabilities: any shift raises the mean."""
    log_probs = torch.tensor([0.1, 0.1]).double().log()
    both = torch.tensor([1.0, -0.9]).double()
    found = solve_each(log_probs, both, torch.tensor(0.5).double().log())
    grid = np.linspace(-20, 20, 400_001)
    odds = np.log(0.1 / 0.9)
    least = np.mean([1 / (1 + np.exp(-(odds + s * grid))) for s in (1.0, -0.9)], axis=0).min()
    assert found.log_scale.exp().item() == pytest.approx(least / 0.1, rel=1e-6)
    assert not found.reaches(torch.tensor(0.5).double().log())


def test_saturation_is_told():
    """A shift in half of the contexts gives a token half of them at most."""
    log_probs = torch.tensor([0.1, 0.1]).double().log()
    half = torch.tensor([1.0, 0.0]).double()
    found = solve_each(log_probs, half, torch.tensor(8.0).double().log())
    assert found.log_scale.exp().item() == pytest.approx((1 + 0.1) / 2 / 0.1, rel=1e-6)
    assert not found.reaches(torch.tensor(8.0).double().log())


def test_several_that_cannot_be_reached_end_at_a_common_power():
    log_probs = torch.tensor([[0.1, 0.2], [0.1, 0.2]]).double().log()
    half = torch.tensor([1.0, 0.0]).double()
    requested = torch.tensor([4.0, 2.0]).double().log()  # 0.8 in all, half of the rest is fixed
    found = solve(log_probs, half, requested)
    powers = found.log_scale / requested
    assert powers[0].item() == pytest.approx(powers[1].item(), abs=1e-6)
    reached = (found.log_scale.exp() * torch.tensor([0.1, 0.2]).double()).sum().item()
    assert reached == pytest.approx((1 + 0.3) / 2, rel=0.01)
