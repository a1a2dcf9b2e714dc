"""KernelSynth: series drawn from Gaussian processes with random kernels."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial, reduce
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from framework.papers.chronos.generated import Generated


class KernelSynth(Generated):
    """Draws series from Gaussian processes whose kernels are joined at random.

    Of a bank of 33 kernels (level, noise, lines, curves, seasons of many lengths) up to five are
    drawn, with replacement, and joined one after the other, added or multiplied.

    Args:
        number: Number of series.
        length: Steps of a series.
        kernels: Largest number of kernels that are joined.
        seed: Seed of the draws.
        workers: Processes that draw; the series do not depend on it.

    Raises:
        ValueError: If nothing would be drawn.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 4.2, algorithm 2.
    """

    def __init__(
        self,
        number: int = 1000,
        length: int = 1024,
        kernels: int = 5,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(number, seed, workers)
        if length < 2 or kernels < 1:
            raise ValueError(
                f"KernelSynth draws nothing with length={length}, kernels={kernels}; "
                "use at least 2 steps and 1 kernel."
            )
        self.length, self.kernels = length, kernels

    def key(self) -> dict[str, object]:
        """Names the options that the series depend on."""
        options = [self.number, self.length, self.kernels, self.seed]
        return {"kernel_synth": 1, "options": options}

    def draw_piece(self, numbers: range) -> list[NDArray[np.float64]]:
        """Draws series, each from a generator of its own."""
        return [self.draw(rng) for rng in self.generators(numbers)]

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draws a series, `[length]`: the sum of independent samples of all products."""
        count = int(rng.integers(1, self.kernels + 1))
        chosen = rng.integers(len(BANK), size=count).tolist()
        added = (rng.random(count - 1) < 0.5).tolist()
        parts = [sample(product, self.length, rng) for product in expand(chosen, added)]
        return np.asarray(sum(parts[1:], parts[0]))


def expand(kernels: list[int], added: list[bool]) -> list[tuple[int, ...]]:
    """Expands kernels that are joined one after the other to a sum of products.

    Args:
        kernels: Numbers of the kernels, in order.
        added: Whether each but the first is added to what comes before it, or multiplied with it.

    Example:
        >>> expand([1, 2, 3, 4], [True, False, True])
        [(1, 3), (2, 3), (4,)]
    """
    terms: list[tuple[int, ...]] = [(kernels[0],)]
    for kernel, plus in zip(kernels[1:], added, strict=True):
        terms = [*terms, (kernel,)] if plus else [(*term, kernel) for term in terms]
    return terms


Matrix = NDArray[np.float64]
Kernel = Callable[[int], Matrix]
"""Covariances `[n, n]` between the times 0, 1/n, …, (n - 1)/n."""

EXACT = 1e-10  # of the mean variance: tolerance of the variance of a sample
LARGEST = 1 << 16  # columns of a factor: with more, a full Cholesky factor is faster


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
    """A curve with correlation time `scale`: exp(-d² / 2 scale²) (RBF)."""
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
WHITE: tuple[Kernel, ...] = tuple(partial(white, variance=v) for v in (0.1, 1.0))
BANK: tuple[Kernel, ...] = (
    constant,
    *WHITE,
    *(partial(linear, offset=s) for s in (0.0, 1.0, 10.0)),
    *(partial(smooth, scale=s) for s in (0.1, 1.0, 10.0)),
    *(partial(rational_quadratic, alpha=a) for a in (0.1, 1.0, 10.0)),
    *(partial(periodic, period=p) for p in PERIODS),
)
"""The kernels that series are made of; frequent periods occur more than once.

Source: Ansari et al., "Chronos" (arXiv:2403.07815), appendix A.
"""


def sample(kernels: tuple[int, ...], steps: int, rng: np.random.Generator) -> Tensor:
    """Draws from the centered Gaussian process whose kernel is a product of kernels of the bank.

    Curves with few degrees of freedom are drawn as such: each kernel K = F F' has a factor with
    few columns, and products of these columns form the factor of a product. White noise times
    anything is white noise.

    Args:
        kernels: Their numbers in the bank.
        steps: Steps to draw.
        rng: Source of randomness.

    Returns:
        Values `[steps]`.
    """
    if any(BANK[k] in WHITE for k in kernels):
        diagonals = [torch.from_numpy(BANK[k](steps).diagonal().copy()) for k in kernels]
        return reduce(torch.mul, diagonals).sqrt() * torch.from_numpy(rng.standard_normal(steps))
    factors = [factor(k, steps) for k in kernels]
    columns = prod(part.shape[1] for part in factors)
    if columns > LARGEST:
        covariance = reduce(np.multiply, (BANK[k](steps) for k in kernels))
        factors, columns = [_cholesky(covariance)], steps
    return join(factors, torch.from_numpy(rng.standard_normal(columns)))


def join(factors: list[Tensor], normal: Tensor) -> Tensor:
    r"""Multiplies the factor of a product of kernels with a vector, without forming the factor.

    .. math:: x_t = \sum_{a, b, \dots} F_{ta} G_{tb} \cdots z_{ab\dots}

    Args:
        factors: Factors of the kernels, `[n, r]` each.
        normal: The vector, of as many components as the product of all r.

    Returns:
        Values `[n]`.
    """
    first, *rest = factors
    values = first @ normal.view(first.shape[1], -1)
    for part in rest:
        values = torch.einsum("ta,tab->tb", part, values.view(*part.shape, -1))
    return values[:, 0]


@lru_cache(maxsize=2 * len(BANK))
def factor(kernel: int, steps: int) -> Tensor:
    """Factors a kernel of the bank, `[n, r]`, by the Cholesky decomposition with pivots.

    It ends with as many columns r as the process has degrees of freedom, up to a variance of
    10⁻¹⁰ of the mean.

    Source: Harbrecht, Peters and Schneider, "On the low-rank approximation by the pivoted Cholesky
        decomposition" (2012), algorithm 1.
    """
    covariance = BANK[kernel](steps)
    left = covariance.diagonal().copy()
    least, columns = EXACT * left.mean(), np.zeros((steps, 0))
    while left.max() > least:
        pivot = left.argmax()
        column = covariance[:, pivot] - columns @ columns[pivot]
        columns = np.column_stack([columns, column / np.sqrt(left[pivot])])
        left = left - columns[:, -1] ** 2
    return torch.from_numpy(columns)


def _cholesky(covariance: Matrix) -> Tensor:
    """Factors a covariance `[n, n]`; adds just enough variance to make it numerically definite."""
    matrix = torch.from_numpy(np.array(covariance))
    extra = EXACT * matrix.diagonal().mean()
    while True:
        matrix.diagonal().add_(extra)
        found: Tensor
        found, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return found
        extra = 10 * extra


def _lags(steps: int) -> NDArray[np.float64]:
    return np.arange(steps) / steps


def _stationary(covariance: NDArray[np.float64]) -> Matrix:
    """Views covariances by lag `[n]` as a Toeplitz matrix `[n, n]`, without a copy."""
    mirrored = np.concatenate([covariance[:0:-1], covariance])
    return np.lib.stride_tricks.sliding_window_view(mirrored, len(covariance))[::-1]
