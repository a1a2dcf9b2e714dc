"""Quantiles of the Fourier density: a table finds the cell, a short series is exact within it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from components.distributions.fourier.polynomial import center_angles
from components.distributions.inversion import bisect
from components.distributions.rows import locate


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
    waves = correlations / (1j * math.pi * k)
    first = waves * (1 - 2 * (k % 2))  # at z = -1
    offset = first.real.sum(-1)
    # the search ends where the table crosses the level, also if rounding makes it descend
    cell = (locate(_tabulate(first, offset, cells), level) - 1).clamp_min(0)
    angle = center_angles(cell, cells, count + 1, level.dtype)[..., 1:]
    series = _expand(waves * torch.complex(angle.cos(), angle.sin()), cells)
    series[0] += (2 * cell + 1) / (2 * cells) - offset - level
    series[1] += 1 / (2 * cells)
    end = torch.ones_like(level)
    within = bisect(lambda t: _evaluate(series, t), -end, end)
    return (2 * cell + 1 + within) / cells - 1


def _tabulate(first: Tensor, offset: Tensor, cells: int) -> Tensor:
    """The distribution function at the lower borders of all cells, `[*batch, cells]`."""
    constant = torch.zeros_like(first[..., :1])
    waves: Tensor = torch.fft.irfft(torch.cat((constant, first), -1), n=cells, norm="forward")
    ramp = torch.arange(cells, dtype=waves.dtype, device=waves.device) / cells
    return waves / 2 + (ramp - offset.unsqueeze(-1))


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
