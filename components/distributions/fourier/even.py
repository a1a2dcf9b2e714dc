"""Even Fourier distributions: folded from twice the range, so that both ends are no neighbors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions.utils import lazy_property

from components.distributions.categorical import Discrete
from components.distributions.fourier.categorical import FourierCells
from components.distributions.fourier.density import invert
from components.distributions.fourier.polynomial import (
    angles,
    basis,
    correlate,
    log_power,
    transform,
)
from components.distributions.fourier.series import SeriesDensity
from components.distributions.tensors import joint_shape


class EvenFourierDensity(SeriesDensity):
    r"""A smooth density on [low, high] that continues evenly at both ends, not periodically.

    .. math:: p(x) = \frac{|A(z)|^2 + |A(-z)|^2}{2 (high - low) \sum_k |a_k|^2}, \quad
        A(z) = \sum_{k=0}^N a_k e^{i \pi k z}, \quad z = \frac{x - low}{high - low}

    It is that of |Z| for a Fourier density of Z on [-1, 1], a cosine series: with
    :math:`g_k = \sum_j a_{j+k} \bar a_j / \sum_j |a_j|^2`

    .. math:: p(x) = \frac{1 + 2 \sum_{k=1}^N \Re g_k \cos(\pi k z)}{high - low}

    Its fastest wave is half as fast as that of a `FourierDensity` of as many coefficients, which
    makes its ends neighbors. Both are at most (N + 1)/(high - low). Values beyond the bounds score
    like the nearest bound. All-zero coefficients mean the uniform distribution.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`.
            Their scale is irrelevant.
        low: Lower bound, in the units of the outcome.
        high: Upper bound, in the same units.

    Raises:
        ValueError: If the number of coefficients is odd or the bounds are not in order.
    """

    @property
    def unit_width(self) -> float:
        """What one unit of z is worth in units of the outcome."""
        return self.high - self.low

    @lazy_property
    def correlations(self) -> Tensor:
        r"""The coefficients :math:`\Re g_k` of the cosines, as complex numbers, `[..., N]`."""
        return _without_phase(correlate(self.coefficients))

    def unit(self, value: Tensor) -> Tensor:
        """Maps outcomes to z between 0 and 1, those beyond the bounds to the nearest bound."""
        return ((value.to(self.coefficients.dtype) - self.low) / self.unit_width).clamp(0, 1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`, at a cost linear in N."""
        z = self.unit(value)
        angle = angles(z.expand(joint_shape(z, self.batch_shape)), self.terms)
        here, mirrored = (log_power(self.coefficients, basis(each)) for each in (angle, -angle))
        return torch.logaddexp(here, mirrored) - math.log(2 * self.unit_width)

    def _fold(self, z: Tensor) -> Tensor:
        return z.abs()

    def _outcome(self, z: Tensor) -> Tensor:
        return self.low + self.unit_width * z

    def _invert(self, level: Tensor) -> Tensor:
        return invert(self.correlations, (1 + level) / 2).clamp_min(0)

    def _below(self, z: Tensor) -> Tensor:
        r"""The mass below z, :math:`z + 2 \sum \Re g_k \sin(\pi k z) / (\pi k)`."""
        sine = angles(z, self.terms)[..., 1:].sin()
        waves = self.correlations.real * sine / (math.pi * self._orders(z.dtype))
        return z + 2 * waves.sum(-1)

    def _falling(self, z: Tensor) -> Tensor:
        """The negative slope of the density at z, up to a positive factor."""
        sine = angles(z, self.terms)[..., 1:].sin()
        return (self._orders(z.dtype) * self.correlations.real * sine).sum(-1)

    def _grid(self, points: int) -> Tensor:
        """The density times high - low at z = -1 + 2g/points, `[..., points]`."""
        start = angles(self.coefficients.new_full((), -1.0), self.terms)
        power = transform(self.coefficients, start, points)
        return (power + power.flip(-1).roll(1, -1)) / 2

    @property
    def _moments(self) -> tuple[Tensor, Tensor]:
        """E[z] and E[z²] in float64: their difference is small for a narrow distribution."""
        k = self._orders(torch.float64)
        sign, order = 1 - 2 * (k % 2), (math.pi * k).square()
        waves = 2 * correlate(self.coefficients.double()).real / order
        return 1 / 2 + (waves * (sign - 1)).sum(-1), 1 / 3 + (waves * 2 * sign).sum(-1)

    def _orders(self, dtype: torch.dtype) -> Tensor:
        """The numbers 1 .. N."""
        return torch.arange(1, self.terms, dtype=dtype, device=self.coefficients.device)


class EvenFourierCells(Discrete):
    r"""m ordered cells folded from twice as many Fourier cells, which go around a circle.

    .. math:: q_j = Q_{m+j} + Q_{m-1-j}

    The first and the last cell are no neighbors. No cell has more than (N + 1)/m of the mass
    where that holds for the cells that are folded.

    Args:
        circle: The 2m cells Q, batch shape `[...]`; with their widths mirrored if they differ.

    Raises:
        ValueError: If their number is odd.
    """

    rows = ("circle",)

    def __init__(self, circle: FourierCells) -> None:
        if circle.size % 2:
            raise ValueError(
                f"EvenFourierCells: {circle.size} cells cannot be folded; make twice as many as "
                "there are outcomes."
            )
        self.circle = circle
        self.size = circle.size // 2
        super().__init__(circle.batch_shape, validate_args=False)

    @property
    def eps(self) -> float:
        """What is added to the probability of every cell, before all are normalized again."""
        return 2 * self.circle.eps

    @property
    def correlations(self) -> Tensor:
        """The coefficients of the cosines, as complex numbers, `[..., N]`."""
        return _without_phase(self.circle.correlations)

    def _log_prob(self, index: Tensor) -> Tensor:
        """At a cost independent of `size`."""
        mirrored = self.circle.log_prob(self.size - 1 - index)
        return torch.logaddexp(self.circle.log_prob(self.size + index), mirrored)

    @lazy_property
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all cells, `[..., size]`."""
        mirrored, here = self.circle.log_probs.chunk(2, -1)
        return torch.logaddexp(here, mirrored.flip(-1))

    @property
    def logits(self) -> Tensor:
        """The log-probabilities, as single cells have no other logits."""
        return self.log_probs


def _without_phase(waves: Tensor) -> Tensor:
    return torch.complex(waves.real, torch.zeros_like(waves.real))
