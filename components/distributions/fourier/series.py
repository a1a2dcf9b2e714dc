"""What all densities on an interval share that are squared Fourier series."""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint, interval
from torch.types import _size

from components.distributions.expanding import Expandable
from components.distributions.fourier.drawing import draw
from components.distributions.fourier.polynomial import check
from components.distributions.inversion import bisect, implicit
from components.distributions.tensors import joint_shape, tiny, to_float32


class SeriesDensity(Expandable):
    """A density on [low, high] that is a squared Fourier series of a position z.

    A subclass says what z is, `unit`, and how the series continues beyond the interval. Values
    beyond the bounds score like the nearest bound. All-zero coefficients mean the uniform
    distribution.

    Args:
        coefficients: Real parts of a_0 .. a_N, then their imaginary parts, `[..., 2(N + 1)]`.
            Their scale is irrelevant.
        low: Lower bound, in the units of the outcome.
        high: Upper bound, in the same units.

    Raises:
        ValueError: If the number of coefficients is odd or the bounds are not in order.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object
    has_rsample = True

    rows = ("coefficients",)

    def __init__(self, coefficients: Tensor, low: float, high: float) -> None:
        name = type(self).__name__
        check(coefficients, name)
        if not low < high:
            raise ValueError(f"{name}: low={low} must be less than high={high}.")
        self.coefficients = to_float32(coefficients)
        self.low = low
        self.high = high
        super().__init__(coefficients.shape[:-1], validate_args=False)

    @property
    def support(self) -> Constraint:
        """The values that are possible: those between the bounds."""
        return interval(self.low, self.high)  # type: ignore[no-untyped-call]  # torch's

    @property
    def terms(self) -> int:
        """Number of complex coefficients, N + 1."""
        return self.coefficients.shape[-1] // 2

    @property
    @abstractmethod
    def unit_width(self) -> float:
        """What one unit of z is worth in units of the outcome."""

    @abstractmethod
    def unit(self, value: Tensor) -> Tensor:
        """Maps outcomes to z, those beyond the bounds to the nearest bound."""

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`."""
        return self._below(self.unit(value)).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`: the inverse of `cdf`, differentiable."""
        level = value.to(self.coefficients.dtype).expand(joint_shape(value, self.batch_shape))
        z = self._invert(level)
        if not torch.is_grad_enabled():
            return self._outcome(z)
        density = self.log_prob(self._outcome(z)).exp() * self.unit_width
        return self._outcome(implicit(z, self._below(z) - level, density))

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        return self._outcome(self._moments[0]).to(self.coefficients.dtype)

    @property
    def variance(self) -> Tensor:
        """Variance, `[...]`."""
        first, second = self._moments
        variance = (second - first.square()) * self.unit_width**2
        return variance.to(self.coefficients.dtype)

    @property
    def mode(self) -> Tensor:
        """Where the density is highest, `[...]`, without gradient."""
        points = 8 * self.terms
        peak = -1 + 2 * self._grid(points).argmax(-1) / points
        step = torch.full_like(self.coefficients[..., 0], 2 / points)
        z = bisect(self._falling, peak - step, peak + step)
        return self._outcome(self._fold(torch.remainder(z + 1, 2) - 1))

    def entropy(self) -> Tensor:
        """Computes the differential entropy in nats, `[...]`, by a sum over one period."""
        power = self._grid(max(1024, 16 * self.terms))
        relative: Tensor = torch.special.entr(power.clamp_min(tiny(power))).mean(-1)
        return math.log(self.high - self.low) + relative

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]` by inversion, differentiable."""
        shape = self._extended_shape(torch.Size(sample_shape))
        a = self.coefficients
        return self.icdf(torch.rand(shape, dtype=a.dtype, device=a.device))

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`, a fifth of the price of those with a gradient."""
        return self._outcome(self._fold(draw(self.coefficients, torch.Size(sample_shape))))

    def _fold(self, z: Tensor) -> Tensor:
        """Maps positions between -1 and 1, the period of the series, to those of the interval."""
        return z

    @abstractmethod
    def _outcome(self, z: Tensor) -> Tensor:
        """The outcome at z."""

    @abstractmethod
    def _invert(self, level: Tensor) -> Tensor:
        """The z below which a mass lies, without gradient."""

    @abstractmethod
    def _below(self, z: Tensor) -> Tensor:
        """The mass below z."""

    @abstractmethod
    def _falling(self, z: Tensor) -> Tensor:
        """The negative slope of the density at z, up to a positive factor."""

    @abstractmethod
    def _grid(self, points: int) -> Tensor:
        """The density times high - low at z = -1 + 2g/points, `[..., points]`."""

    @property
    @abstractmethod
    def _moments(self) -> tuple[Tensor, Tensor]:
        """E[z] and E[z²] in float64: their difference is small for a narrow distribution."""
