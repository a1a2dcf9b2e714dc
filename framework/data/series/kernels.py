"""Kernels of Gaussian processes over a unit of time, and samples of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Kernel = Callable[[int], Matrix]
"""Covariances `[n, n]` between the times 0, 1/n, …, (n - 1)/n."""

JITTER = 1e-10  # variance that is added to each value, relative to the mean variance


def constant(steps: int) -> Matrix:
    """A level: all values are the same."""
    return np.ones((steps, steps))


def white(steps: int, variance: float) -> Matrix:
    """Independent values."""
    return variance * np.eye(steps)


def linear(steps: int, offset: float) -> Matrix:
    """A line, with a slope of variance 1 and a standard deviation of `offset` at time 0."""
    time = np.arange(steps) / steps
    return offset**2 + np.outer(time, time)


def smooth(steps: int, scale: float) -> Matrix:
    """A curve that forgets within the time `scale`: exp(-d² / 2 scale²) (RBF)."""
    return _stationary(np.exp(-0.5 * (_lags(steps) / scale) ** 2))


def rational_quadratic(steps: int, alpha: float) -> Matrix:
    """A mixture of smooth curves of many scales: (1 + d² / 2 alpha)^-alpha."""
    return _stationary((1 + _lags(steps) ** 2 / (2 * alpha)) ** -alpha)


def periodic(steps: int, period: int) -> Matrix:
    """A curve that repeats itself after `period` steps: exp(-2 sin²(pi d / period))."""
    return _stationary(np.exp(-2 * np.sin(np.pi * np.arange(steps) / period) ** 2))


PERIODS = (
    *(24, 48, 96, 168, 336, 672),  # hours, halves and quarters of them: a day, a week
    *(7, 14, 30, 60, 365, 730),  # days: one and two weeks, months, years
    *(4, 26, 52),  # weeks: a month, half a year, a year
    *(4, 6, 12),  # months: a third of a year, half a year, a year
    *(4, 40),  # quarters: a year, ten years
    10,  # years: ten years
)
BANK: tuple[Kernel, ...] = (
    constant,
    *(partial(white, variance=v) for v in (0.1, 1.0)),
    *(partial(linear, offset=s) for s in (0.0, 1.0, 10.0)),
    *(partial(smooth, scale=s) for s in (0.1, 1.0, 10.0)),
    *(partial(rational_quadratic, alpha=a) for a in (0.1, 1.0, 10.0)),
    *(partial(periodic, period=p) for p in PERIODS),
)
"""The kernels that series are made of; those of frequent periods are in it more than once.

Source: Ansari et al., "Chronos" (arXiv:2403.07815), appendix A.
"""


def sample(covariance: Matrix, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws from a centered Gaussian process, by the Cholesky factor of its covariance.

    Kernels of curves with few degrees of freedom are singular up to rounding, so a little variance
    is added: as much as needed, at least 10⁻¹⁰ of what is there.

    Args:
        covariance: Covariances `[n, n]`.
        normal: Independent standard normal values `[n]`.

    Returns:
        Values `[n]`.
    """
    matrix = torch.from_numpy(np.array(covariance))
    extra = JITTER * matrix.diagonal().mean()
    while True:
        matrix.diagonal().add_(extra)
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return np.asarray(factor @ torch.from_numpy(normal))
        extra = 10 * extra


def _lags(steps: int) -> NDArray[np.float64]:
    return np.arange(steps) / steps


def _stationary(covariance: NDArray[np.float64]) -> Matrix:
    """Views covariances by lag `[n]` as a Toeplitz matrix `[n, n]`, without a copy."""
    mirrored = np.concatenate([covariance[:0:-1], covariance])
    return np.lib.stride_tricks.sliding_window_view(mirrored, len(covariance))[::-1]
