"""Kernels against the properties that define them, samples against their covariance."""

from functools import reduce

import numpy as np
import pytest
import torch

from framework.papers.chronos import kernel_synth
from framework.papers.chronos.kernel_synth import (
    BANK,
    PERIODS,
    WHITE,
    KernelSynth,
    expand,
    factor,
    join,
    linear,
    periodic,
    rational_quadratic,
    sample,
    smooth,
    white,
)

STEPS = 60


def test_the_bank_has_33_kernels_of_processes():
    assert len(BANK) == 33
    for kernel in BANK:
        matrix = kernel(STEPS)
        np.testing.assert_array_equal(matrix, matrix.T)
        assert np.linalg.eigvalsh(matrix).min() > -1e-9 * np.trace(matrix)


def test_kernels_equal_their_formulas():
    s, t = np.meshgrid(np.arange(STEPS) / STEPS, np.arange(STEPS) / STEPS, indexing="ij")
    close = {
        smooth: (0.1, np.exp(-((s - t) ** 2) / 0.02)),
        rational_quadratic: (10.0, (1 + (s - t) ** 2 / 20) ** -10),
        periodic: (7, np.exp(-2 * np.sin(np.pi * STEPS * (s - t) / 7) ** 2)),
        linear: (10.0, 100 + s * t),
        white: (0.1, np.where(s == t, 0.1, 0)),
    }
    for kernel, (option, expected) in close.items():
        np.testing.assert_allclose(kernel(STEPS, option), expected, atol=1e-12)
    for period in PERIODS:
        lag = periodic(800, period)[0]
        np.testing.assert_allclose(lag[period:], lag[:-period], atol=1e-9)


@pytest.mark.parametrize("kernel", [k for k in range(33) if BANK[k] not in WHITE])
def test_factors_are_those_of_the_kernel_and_have_few_columns(kernel):
    matrix, found = BANK[kernel](STEPS), factor(kernel, STEPS).numpy()
    np.testing.assert_allclose(found @ found.T, matrix, atol=1e-7 * matrix.max())
    assert found.shape[1] <= 40


def test_joined_factors_are_that_of_the_product():
    """The map from normal values to a sample, column by column, squares to the covariance."""
    chosen = [3, 5, 14, 0]
    factors = [factor(k, STEPS) for k in chosen]
    columns = int(np.prod([part.shape[1] for part in factors]))
    whole = torch.stack([join(factors, row) for row in torch.eye(columns).double()], 1)
    expected = reduce(np.multiply, (BANK[k](STEPS) for k in chosen))
    np.testing.assert_allclose((whole @ whole.T).numpy(), expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [(6, 14), (1, 5, 9), (10,)])
@pytest.mark.parametrize("largest", [1 << 16, 2])
def test_samples_have_the_covariance_of_the_product(chosen, largest, monkeypatch):
    monkeypatch.setattr(kernel_synth, "LARGEST", largest)
    rng = np.random.default_rng(0)
    drawn = torch.stack([sample(chosen, 12, rng) for _ in range(3000)]).numpy()
    expected = reduce(np.multiply, (BANK[k](12) for k in chosen))
    assert np.abs(drawn.T @ drawn / 3000 - expected).max() < 0.12 * expected.max()


def test_sums_of_products_are_what_was_joined():
    rng = np.random.default_rng(1)
    for _ in range(50):
        count = rng.integers(1, 6)
        chosen, added = rng.integers(33, size=count).tolist(), (rng.random(count - 1) < 0.5)
        joined = BANK[chosen[0]](STEPS)
        for k, plus in zip(chosen[1:], added, strict=True):
            joined = joined + BANK[k](STEPS) if plus else joined * BANK[k](STEPS)
        terms = expand(chosen, added.tolist())
        total = sum(reduce(np.multiply, (BANK[k](STEPS) for k in term)) for term in terms)
        np.testing.assert_allclose(total, joined, rtol=1e-12)


def test_series_are_finite_and_differ():
    panel = KernelSynth(number=20, length=50).read()
    assert len({values.tobytes() for values in panel.series()}) == 20
    assert panel.length.tolist() == [50] * 20
