"""The Fourier law over ordered cells: values of a Fourier density at their centers, normalized."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property
from torch.nn.functional import pad

from components.distributions.categorical import Discrete
from components.distributions.fourier.polynomial import (
    Basis,
    as_complex,
    basis,
    center_angles,
    center_table,
    check,
    log_power,
    transform,
)
from components.distributions.precision import tiny, widen
from components.distributions.rows import joint_shape


class FourierCategorical(Discrete):
    r"""A smooth law over m ordered cells, given by N + 1 complex numbers.

    .. math:: q_j = \frac{|\sum_{k=0}^N a_k e^{i \pi k z_j}|^2}{m \sum_k |a_k|^2}, \quad
        z_j = \frac{2j + 1 - m}{m}

    The denominator is the exact sum over all cells, so `log_prob` and its gradient read
    2(N + 1) numbers per row and no other cell. That needs N < m; frequencies from m on repeat
    lower ones at every center and are folded onto them.

    For N < m no cell has more than (N + 1)/m of the mass. If all coefficients are zero, the law is
    the uniform one.

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
        check(coefficients, "FourierCategorical")
        if size < 1:
            raise ValueError(f"FourierCategorical: size={size}; it needs at least one cell.")
        if not eps >= 0:
            raise ValueError(f"FourierCategorical: eps={eps} is negative; use 0 or more.")
        self.size = size
        self.eps = eps
        self.coefficients = widen(coefficients)
        self._folded = _fold(self.coefficients, size)
        super().__init__(coefficients.shape[:-1], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-probability of cells `[...]`, at a cost independent of `size`."""
        index = value.long().expand(joint_shape(value, self.batch_shape))
        log_q = log_power(self._folded, self._basis(index)) - math.log(self.size)
        return self._floored(log_q) - self._leak

    @lazy_property
    def logits(self) -> Tensor:
        """Logarithms of q + eps, `[..., size]`: what the official layer returns."""
        return self._floored(self._power.clamp_min(tiny(self._power)).log() - math.log(self.size))

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

    def _basis(self, index: Tensor) -> Basis:
        terms, dtype = self._folded.shape[-1] // 2, self._folded.dtype
        if index.numel() <= self.size:
            return basis(center_angles(index, self.size, terms, dtype))
        # more rows than cells: a table of the cells is smaller than what the rows would compute
        straight, turned = center_table(self.size, terms, self._folded)
        rows, shape = index.reshape(-1), (*index.shape, 2 * terms)
        return straight.index_select(0, rows).view(shape), turned.index_select(0, rows).view(shape)

    @lazy_property
    def _power(self) -> Tensor:
        """The ratios q_j m of all cells, by one FFT that starts at the center of the first."""
        a = as_complex(self._folded)
        first = torch.zeros((), dtype=torch.int64, device=a.device)
        angle = center_angles(first, self.size, a.shape[-1], self._folded.dtype)
        return transform(a * torch.complex(angle.cos(), angle.sin()), self.size)


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
