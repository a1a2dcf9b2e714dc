"""Exact draws from a Fourier density, at the cost of one small FFT each."""

from __future__ import annotations

import torch
from torch import Tensor

from components.distributions.fourier.polynomial import (
    angles,
    as_complex,
    squared_modulus,
)
from components.distributions.tensors import choose


@torch.no_grad()
def draw(coefficients: Tensor, sample_shape: torch.Size) -> Tensor:
    r"""Draws z with density :math:`|A(z)|^2 / (2 \sum_k |a_k|^2)` on [-1, 1].

    Over M > N even points of a period the density sums to the same number wherever the first of
    them lies, because no wave of up to N turns survives the sum. So a first point that is drawn
    uniformly, and one of its M points drawn by their densities, make an exact draw. Unlike an
    inversion that needs no autocorrelation, no table and no search.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[*batch, 2(N + 1)]`.
        sample_shape: Draws of each distribution.

    Returns:
        Positions z, `[*sample_shape, *batch]`, without gradient.
    """
    a = as_complex(coefficients)
    terms = a.shape[-1]
    points = _fast_length(terms)
    shape = torch.Size((*sample_shape, *coefficients.shape[:-1]))
    first = coefficients.new_empty(shape).uniform_() * (2 / points) - 1
    angle = angles(first, terms)
    turned = a * torch.complex(angle.cos(), angle.sin())
    sums = squared_modulus(torch.fft.ifft(turned, n=points, norm="forward")).cumsum(-1)
    point = choose(sums, torch.rand_like(sums[..., -1:])).squeeze(-1)
    return first + point * (2 / points)


def _fast_length(least: int) -> int:
    """Finds the least 2^i or 3^j 2^i, j at most 2, from a number on: lengths of fast FFTs."""
    return min(odd << max(0, -(-least // odd) - 1).bit_length() for odd in (1, 3, 9))
