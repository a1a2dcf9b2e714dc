"""Lagged sines, against a loop over the formula and the numbers of the paper."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import huber_loss

from framework.tasks.lagged_sines import LaggedSines

A_B_P = [(10, 10.0, 0.3), (5, 4.0, 0.5), (1, -2.0, 1.0), (3, 7.0, 0.0)]


def drawn(process, seed=0, length=64):
    return process.draw(np.random.default_rng(seed), length)


def outcome(a, b, x, z, n):
    """y of position n, term by term as the formula has it."""
    if not z[n]:
        return x[n]
    return sum(math.sin(b * x[n - i]) for i in range(1, a + 1) if n - i >= 0)


@pytest.mark.parametrize(("a", "b", "p"), A_B_P)
@pytest.mark.parametrize("length", [1, 2, 20, 64])
def test_outcomes_are_those_of_the_formula(a, b, p, length):
    features, y = drawn(LaggedSines(a, b, p), length=length)
    x, z = features.T
    assert features.shape == (length, 2)
    expected = [outcome(a, b, x, z, n) for n in range(length)]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_the_zero_predictor_scores_as_published():
    """Acceptance check 15: 1.2551 by a Monte-Carlo estimate, 1.26 in the paper's table."""
    process = LaggedSines(10, 10.0, 1.0)
    y = torch.from_numpy(np.stack([drawn(process, seed)[1] for seed in range(4000)]))
    assert torch.equal(y[:, 0], torch.zeros(4000, dtype=torch.float64))
    assert 1.245 <= huber_loss(torch.zeros_like(y), y).item() <= 1.265


def test_switches_are_as_frequent_as_asked_and_numbers_are_standard_normal():
    features = np.stack([drawn(LaggedSines(share=0.3), seed)[0] for seed in range(2000)])
    x, z = features[..., 0].ravel(), features[..., 1].ravel()
    assert set(np.unique(z)) == {0.0, 1.0}
    assert z.mean() == pytest.approx(0.3, abs=0.005)  # standard error 0.0013
    assert x.mean() == pytest.approx(0, abs=0.012)  # standard error 0.0028
    assert x.var() == pytest.approx(1, abs=0.016)  # standard error 0.0040


def test_a_number_tells_nothing_of_its_sine():
    """Acceptance check 15; the closed form of the correlation is below 1e-20."""
    x = np.concatenate([drawn(LaggedSines(), seed)[0][:, 0] for seed in range(4000)])
    assert abs(np.corrcoef(x, np.sin(10 * x))[0, 1]) < 1e-2


def test_an_outcome_under_the_switch_does_not_depend_on_its_own_number():
    class Replaced(np.random.Generator):
        """Draws as its parent does, and then another number at the last position."""

        def standard_normal(self, size):
            return np.append(super().standard_normal(size)[:-1], 123.0)

    process = LaggedSines(5, 4.0, 1.0)
    features, y = drawn(process)
    other, same = process.draw(Replaced(np.random.PCG64(0)), 64)
    assert np.array_equal(other[:-1], features[:-1])
    assert other[-1, 0] == 123.0 != features[-1, 0]
    assert np.array_equal(same, y)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_regressors_are_sines_of_earlier_numbers(lead):
    process = LaggedSines(4, 3.0, 0.5)
    features = torch.randn(*lead, 7, 2)
    found = process.regressors(features)
    assert list(found) == ["sin x[n]", "sin x[n-1]", "sin x[n-2]", "sin x[n-3]", "sin x[n-4]"]
    x = features[..., 0].double()
    for lag, values in enumerate(found.values()):
        assert values.shape == (*lead, 7)
        for n in range(7):
            due = (3 * x[..., n - lag]).sin() if n >= lag else torch.zeros(lead).double()
            torch.testing.assert_close(values[..., n], due)


def test_regressors_add_up_to_the_outcomes_of_the_task():
    process = LaggedSines(5, 4.0, 0.5)
    features, y = drawn(process)
    features = torch.from_numpy(features)
    task = process.task(features)
    assert torch.equal(task, features[:, 1] == 1)
    before = list(process.regressors(features).values())[1:]
    torch.testing.assert_close(sum(before)[task], torch.from_numpy(y)[task])


def test_regressors_of_a_sequence_shorter_than_the_lags():
    found = LaggedSines(5).regressors(torch.randn(2, 3, 2))
    assert [values.shape for values in found.values()] == [(2, 3)] * 6
    assert not list(found.values())[4].any()


@pytest.mark.parametrize("lags", [3, 10])
def test_outcomes_lie_in_the_support(lags):
    process = LaggedSines(lags, 4.0, 0.5)
    y = torch.from_numpy(np.stack([drawn(process, seed)[1] for seed in range(200)]))
    assert process.support.contains(y).all()
    assert process.support.high == max(lags, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lags": 0}, "lags=0 sums nothing; use at least 1"),
        ({"frequency": math.inf}, "frequency=inf gives no sines; use a finite"),
        ({"frequency": math.nan}, "frequency=nan gives no sines; use a finite"),
        ({"share": 1.5}, r"share=1.5 is not in \[0, 1\]; use a"),
        ({"share": math.nan}, r"share=nan is not in \[0, 1\]"),
    ],
)
def test_bad_options_are_one_sentence(options, message):
    with pytest.raises(ValueError, match=f"LaggedSines: {message}"):
        LaggedSines(**options)
