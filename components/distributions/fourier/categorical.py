"""The Fourier distribution over ordered cells: a Fourier density at their centers, normalized."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property
from torch.nn.functional import pad

from components.distributions.fourier.cells import FourierCells
from components.distributions.fourier.polynomial import (
    FEW_TERMS,
    Basis,
    basis,
    center_angles,
    center_table,
    log_power,
    powers,
    transform,
)


class FourierCategorical(FourierCells):
    r"""A smooth distribution over m ordered cells, given by N + 1 complex numbers.

    .. math:: q_j = \frac{|\sum_{k=0}^N a_k e^{i \pi k z_j}|^2}{m \sum_k |a_k|^2}, \quad
        z_j = \frac{2j + 1 - m}{m}

    The denominator is the exact sum over all cells, so `log_prob` and its gradient read
    2(N + 1) numbers per row and no other cell. That needs N < m; frequencies from m on repeat
    lower ones at every center and are folded onto them.

    For N < m no cell has more than (N + 1)/m of the mass. If all coefficients are zero, the
    distribution is the uniform one.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`;
            their scale does not matter.
        size: Number of cells, m.
        eps: Added to every probability before all are normalized again, (q + eps)/(1 + m eps).
            Numerically 0 is safe.

    Raises:
        ValueError: If the number of coefficients is odd, `size` not positive or `eps` negative.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), section 3. The squared modulus in
        place of autocorrelations and the closed denominator are exact rewritings.
    """

    def __init__(self, coefficients: Tensor, size: int, eps: float = 0.0) -> None:
        super().__init__(coefficients, size, eps)
        self._folded = _fold(self.coefficients, size)

    def _log_mass(self, index: Tensor) -> Tensor:
        return log_power(self._folded, self._basis(index)) - math.log(self.size)

    @lazy_property
    def _masses(self) -> Tensor:
        """By matrix products for few frequencies, else by one FFT from the first center on."""
        terms, dtype = self._folded.shape[-1] // 2, self._folded.dtype
        if terms <= FEW_TERMS:
            return powers(self._folded, center_table(self.size, terms, self._folded)) / self.size
        first = torch.zeros((), dtype=torch.int64, device=self._folded.device)
        angle = center_angles(first, self.size, terms, dtype)
        return transform(self._folded, angle, self.size) / self.size

    def _basis(self, index: Tensor) -> Basis:
        terms, dtype = self._folded.shape[-1] // 2, self._folded.dtype
        if index.numel() <= self.size:
            return basis(center_angles(index, self.size, terms, dtype))
        # more rows than cells: a table of the cells is smaller than what the rows would compute
        straight, turned = center_table(self.size, terms, self._folded)
        rows, shape = index.reshape(-1), (*index.shape, 2 * terms)
        return straight.index_select(0, rows).view(shape), turned.index_select(0, rows).view(shape)


def _fold(coefficients: Tensor, size: int) -> Tensor:
    """Moves frequencies from `size` on to lower ones that equal them up to sign at all centers."""
    terms = coefficients.shape[-1] // 2
    if terms <= size:
        return coefficients
    halves = coefficients.reshape(*coefficients.shape[:-1], 2, terms)
    blocks = pad(halves, (0, -terms % size)).reshape(*halves.shape[:-1], -1, size)
    order = torch.arange(blocks.shape[-2], device=blocks.device)
    sign = 1 - 2 * (order * (size - 1) % 2)  # exp(iπ m z_j) = exp(iπ (2j + 1 - m))
    return (blocks * sign.unsqueeze(-1)).sum(-2).flatten(-2)
