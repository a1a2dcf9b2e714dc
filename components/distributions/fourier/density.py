"""The Fourier distribution over an interval: a density that is smooth by construction."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property

from components.distributions.fourier.polynomial import (
    angles,
    apply_fft,
    basis,
    center_angles,
    correlate,
    log_power,
    transform,
)
from components.distributions.fourier.series import SeriesDensity
from components.distributions.inversion import bisect
from components.distributions.tensors import joint_shape, searchsorted


class FourierDensity(SeriesDensity):
    r"""A smooth density on [low, high], given by N + 1 complex numbers.

    .. math:: p(x) = \frac{|\sum_{k=0}^N a_k e^{i \pi k z}|^2}{(high - low) \sum_k |a_k|^2}, \quad
        z = \frac{2 (x - low)}{high - low} - 1

    It is never negative, integrates to one, is at most (N + 1)/(high - low), and continues
    periodically: both ends are neighbors. Values beyond the bounds score like the nearest bound.
    All-zero coefficients mean the uniform distribution.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`.
            Their scale is irrelevant.
        low: Lower bound, in the units of the outcome.
        high: Upper bound, in the same units.

    Raises:
        ValueError: If the number of coefficients is odd or the bounds are not in order.

    Source: De la Fuente et al., "Fourier Basis Density Model" (arXiv:2402.15345), on a bounded
        interval.
    """

    @property
    def unit_width(self) -> float:
        """What one unit of z is worth in units of the outcome."""
        return (self.high - self.low) / 2

    @lazy_property
    def correlations(self) -> Tensor:
        r"""The g of the density :math:`1/2 + \Re \sum g_k e^{i \pi k z}`, complex `[..., N]`."""
        return correlate(self.coefficients)

    def unit(self, value: Tensor) -> Tensor:
        """Maps outcomes to z between -1 and 1, those beyond the bounds to the nearest bound."""
        middle = (self.low + self.high) / 2
        return ((value.to(self.coefficients.dtype) - middle) / self.unit_width).clamp(-1, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`, at a cost linear in N."""
        z = self.unit(value)
        at = basis(angles(z.expand(joint_shape(z, self.batch_shape)), self.terms))
        return log_power(self.coefficients, at) - math.log(self.high - self.low)

    def _outcome(self, z: Tensor) -> Tensor:
        return (self.low + self.high) / 2 + self.unit_width * z

    def _invert(self, level: Tensor) -> Tensor:
        return invert(self.correlations, level)

    def _below(self, z: Tensor) -> Tensor:
        r"""The mass below z, :math:`(z + 1)/2 + \Re \sum g_k (e^{i π k z} - (-1)^k)/(i π k)`."""
        k, sign = self._orders(self.coefficients.dtype)
        angle, gamma = angles(z, self.terms)[..., 1:], self.correlations
        wave = gamma.real * angle.sin() + gamma.imag * (angle.cos() - sign)
        return (z + 1) / 2 + (wave / (math.pi * k)).sum(-1)

    def _falling(self, z: Tensor) -> Tensor:
        """The negative slope of the density at z, up to a positive factor."""
        k, _ = self._orders(self.coefficients.dtype)
        angle, gamma = angles(z, self.terms)[..., 1:], self.correlations
        return (k * (gamma.real * angle.sin() + gamma.imag * angle.cos())).sum(-1)

    def _grid(self, points: int) -> Tensor:
        """The density times high - low at z = -1 + 2g/points, `[..., points]`."""
        start = angles(self.coefficients.new_full((), -1.0), self.terms)
        return transform(self.coefficients, start, points)

    @property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """E[z] and E[z²] in float64: their difference is small for a narrow distribution."""
        gamma = correlate(self.coefficients.double())
        k, sign = self._orders(torch.float64)
        first = (2 * sign * gamma.imag / (math.pi * k)).sum(-1)
        second = 1 / 3 + (4 * sign * gamma.real / (math.pi * k).square()).sum(-1)
        return first, second

    def _orders(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The numbers 1 .. N and (-1)^k."""
        k = torch.arange(1, self.terms, dtype=dtype, device=self.coefficients.device)
        return k, 1 - 2 * (k % 2)


@torch.no_grad()
def invert(correlations: Tensor, level: Tensor) -> Tensor:
    r"""Finds where the distribution function of a Fourier density reaches a level.

    One FFT per distribution tabulates

    .. math:: F(z) = \frac{z + 1}{2} + \Re \sum_{k=1}^N g_k
        \frac{e^{i \pi k z} - (-1)^k}{i \pi k}

    at the borders of at least 4N cells. From the center of one to its border no wave turns by
    more than π/4, so that a Taylor series of some ten terms is exact to the resolution of the
    dtype, and to bisect it costs no cosine.

    Args:
        correlations: The numbers g_1 .. g_N, complex `[*batch, N]`.
        level: Probabilities `[*samples, *batch]`, of the dtype of the real parts.

    Returns:
        Positions z between -1 and 1, `[*samples, *batch]`, without gradient.
    """
    count = correlations.shape[-1]
    cells = 1 << (4 * count - 1).bit_length()
    k = torch.arange(1, count + 1, dtype=level.dtype, device=level.device)
    waves = correlations * (-1j / (math.pi * k))
    first = waves * (1 - 2 * (k % 2))  # at z = -1
    offset = first.real.sum(-1)
    # the search ends where the table crosses the level, also if rounding makes it descend
    cell = (searchsorted(_tabulate(first, cells), level + offset) - 1).clamp_min(0)
    angle = center_angles(cell, cells, count + 1, level.dtype)[..., 1:]
    series = _expand(waves * torch.complex(angle.cos(), angle.sin()), cells)
    series[0] += (2 * cell + 1) / (2 * cells) - offset - level
    series[1] += 1 / (2 * cells)
    end = torch.ones_like(level)
    within = bisect(lambda t: _evaluate(series, t), -end, end)
    return (2 * cell + 1 + within) / cells - 1


def _tabulate(first: Tensor, cells: int) -> Tensor:
    """The distribution function at the lower borders of all cells, up to a constant of each row.

    Args:
        first: The waves at z = -1, complex `[*batch, N]`.
        cells: Number of cells.

    Returns:
        Values `[*batch, cells]`.
    """
    constant = torch.zeros_like(first[..., :1])
    halves = torch.cat((constant, first / 2), -1)
    waves = apply_fft(torch.fft.irfft, halves, cells, "forward")
    return waves + torch.arange(cells, dtype=waves.dtype, device=waves.device) / cells


def _expand(waves: Tensor, cells: int) -> list[Tensor]:
    r"""Expands :math:`\Re \sum_k w_k e^{i \pi k t/cells}` in powers of t between -1 and 1."""
    real, imaginary = waves.real.contiguous(), waves.imag.contiguous()
    k = torch.arange(1, waves.shape[-1] + 1, dtype=real.dtype, device=real.device)
    turns, factor = math.pi / cells * k, torch.ones_like(k)
    series, bound = [real.sum(-1)], 1.0
    while len(series) < 2 or bound > torch.finfo(real.dtype).eps:  # the first that is left out
        order = len(series)
        factor = factor * turns / order
        term = (imaginary if order % 2 else real) * factor
        series.append(term.sum(-1) * (-1 if order % 4 in (1, 2) else 1))
        bound *= math.pi * waves.shape[-1] / cells / order
    return series


def _evaluate(series: list[Tensor], t: Tensor) -> Tensor:
    value = series[-1]
    for coefficient in reversed(series[:-1]):
        value = torch.addcmul(coefficient, value, t)
    return value
