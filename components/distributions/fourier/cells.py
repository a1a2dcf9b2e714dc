"""The common base of Fourier distributions over ordered cells."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property

from components.distributions.categorical import Discrete
from components.distributions.fourier.polynomial import check, correlate
from components.distributions.precision import tiny, to_float32
from components.distributions.rows import joint_shape


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

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-probability of cells `[...]`, at a cost independent of `size`."""
        index = value.long().expand(joint_shape(value, self.batch_shape))
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
