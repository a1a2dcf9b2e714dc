"""Fourier distributions over ordered cells: their base, and the density at the centers."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property
from torch.nn.functional import pad
from torch.types import _size

from components.distributions.categorical import Discrete
from components.distributions.fourier.drawing import blocks_pay, draw_cell, largest_cells
from components.distributions.fourier.polynomial import (
    FEW_TERMS,
    Basis,
    basis,
    center_angles,
    center_table,
    check,
    correlate,
    log_power,
    powers,
    transform,
)
from components.distributions.tensors import joint_shape, tiny, to_float32


class FourierCells(Discrete):
    r"""m ordered cells made of the density :math:`|\sum_k a_k e^{i \pi k z}|^2`.

    A subclass says what the probability of a cell is: the density at its center, or the integral
    over it.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`;
            their scale does not matter.
        size: Number of cells, m.
        eps: Added to every probability before all are normalized again, (q + eps)/(1 + m eps).
            Numerically 0 is safe.

    Raises:
        ValueError: If the number of coefficients is odd, `size` not positive or `eps` negative.
    """

    rows: ClassVar[tuple[str, ...]] = ("coefficients",)

    def __init__(self, coefficients: Tensor, size: int, eps: float = 0.0) -> None:
        name = type(self).__name__
        check(coefficients, name)
        if size < 1:
            raise ValueError(f"{name}: size={size}; it needs at least one cell.")
        if not eps >= 0:
            raise ValueError(f"{name}: eps={eps} is negative; use 0 or more.")
        self.size = size
        self.eps = eps
        self.coefficients = to_float32(coefficients)
        super().__init__(coefficients.shape[:-1], validate_args=False)

    @abstractmethod
    def _log_mass(self, index: Tensor) -> Tensor:
        """Computes log q of cells, int64 `[*samples, *batch]`, at a cost independent of m."""

    @property
    @abstractmethod
    def _masses(self) -> Tensor:
        """The probabilities q of all cells before eps is added, `[..., size]`."""

    @lazy_property
    def correlations(self) -> Tensor:
        r"""The g of the density :math:`1/2 + \Re \sum g_k e^{i \pi k z}`, complex `[..., N]`."""
        return correlate(self.coefficients)

    def _log_prob(self, index: Tensor) -> Tensor:
        """At a cost independent of `size`."""
        index = index.expand(joint_shape(index, self.batch_shape))
        return self._floored(self._log_mass(index)) - self._leak

    @lazy_property
    def logits(self) -> Tensor:
        """Logarithms of q + eps, `[..., size]`: what the official layer returns."""
        return self._floored(self._masses.clamp_min(tiny(self._masses)).log())

    @property
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all cells, `[..., size]`."""
        return self.logits - self._leak

    @property
    def _leak(self) -> float:
        return math.log1p(self.size * self.eps)

    def _floored(self, log_q: Tensor) -> Tensor:
        if self.eps == 0:
            return log_q
        return torch.logaddexp(log_q, log_q.new_full((), math.log(self.eps)))


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

    rows = ("coefficients", "_folded")

    def __init__(self, coefficients: Tensor, size: int, eps: float = 0.0) -> None:
        super().__init__(coefficients, size, eps)
        self._folded = _fold(self.coefficients, size)

    def draws_alone(self, draws: int) -> bool:
        """Returns whether so many draws of each need fewer than all probabilities."""
        return blocks_pay(self.size, self._folded.shape[-1] // 2, draws)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws cells, int64 `[*sample_shape, ...]`; a few without the probabilities of all."""
        shape = torch.Size(sample_shape)
        if not self.draws_alone(shape.numel()):
            return super().sample(shape)
        drawn = draw_cell(self._folded.expand(shape + self._folded.shape), self.size)
        if self.eps == 0:
            return drawn
        anywhere = torch.rand(drawn.shape, device=drawn.device) * (1 + self.size * self.eps) > 1
        return torch.where(anywhere, torch.randint_like(drawn, self.size), drawn)

    def largest(self, count: int) -> tuple[Tensor, Tensor]:
        """Finds the most probable cells, in no order; see `Discrete.largest`."""
        terms = self._folded.shape[-1] // 2
        if terms <= FEW_TERMS or 2 * terms > self.size:
            return super().largest(count)
        mass, cell = largest_cells(self._folded, self.size, count)
        return mass.clamp_min(tiny(mass)) + self.eps, cell

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
    blocks = torch.unflatten(pad(halves, (0, -terms % size)), -1, (-1, size))
    order = torch.arange(blocks.shape[-2], device=blocks.device)
    sign = 1 - 2 * (order * (size - 1) % 2)  # exp(iπ m z_j) = exp(iπ (2j + 1 - m))
    return (blocks * sign.unsqueeze(-1)).sum(-2).flatten(-2)
