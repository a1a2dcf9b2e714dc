"""A distribution on the line whose values are clipped to an interval."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions.constraints import Constraint, interval
from torch.distributions.utils import lazy_property
from torch.types import _size

from components.distributions.atoms import Mixed
from components.distributions.tails import clipped_moments, entropy_between, log_tails
from components.distributions.tensors import constant, entropies, unless_nan


class Censored(Mixed):
    r"""The distribution of clip(X, low, high): what lies beyond a bound is a point mass on it.

    .. math:: P(low) = F(low), \quad P(high) = 1 - F(high), \quad p(x) = f(x) \text{ between}

    It is the right likelihood of data that were clipped, such as actions with noise, or saturated,
    such as a gauge at its end. See `Mixed` for the units of its nats. Values beyond a bound score
    as if they lay on it.

    Args:
        base: The distribution of X, which has a density on the line, batch shape `[...]`. For
            normal distributions, Student's t and mixtures, tails of any size have exact logarithms
            and gradients.
        low: Lower bound, in the units of the outcome.
        high: Upper bound, in the same units.

    Raises:
        ValueError: If the bounds are not in order.

    Source: Tobin, "Estimation of Relationships for Limited Dependent Variables" (1958).
    """

    rows = ("base",)

    def __init__(self, base: Distribution, low: float, high: float) -> None:
        if not low < high:
            raise ValueError(f"Censored: low={low} must be less than high={high}.")
        self.base, self.low, self.high = base, low, high
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override] # torch declares a plain attribute
        """Whether the base can be sampled with gradients."""
        return self.base.has_rsample

    @property
    def support(self) -> Constraint:
        """The values that are possible: those between the bounds, and these."""
        return interval(self.low, self.high)  # type: ignore[no-untyped-call]  # torch's

    @property
    def atoms(self) -> Tensor:
        """The bounds, `[2]`."""
        like = self._log_masses
        return constant((self.low, self.high), like.dtype, like.device)

    @property
    def atom_masses(self) -> Tensor:
        """The probabilities of the bounds, `[..., 2]`."""
        return self._log_masses.exp()

    def is_atom(self, value: Tensor) -> Tensor:
        """Returns which values `[...]` lie on a bound or beyond, as booleans `[...]`."""
        return (value <= self.low) | (value >= self.high)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes log-masses at the bounds, and log-densities between them, `[...]`."""
        below, above = self._log_masses.unbind(-1)
        inside = self.base.log_prob(value.clamp(self.low, self.high))
        at_high = torch.where(value >= self.high, above, inside)
        return torch.where(value <= self.low, below, at_high)

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`; it jumps at the bounds."""
        inside = self.base.cdf(value.clamp(self.low, self.high))
        reached = torch.where(value >= self.high, 1.0, inside)
        return unless_nan(value, torch.where(value < self.low, 0.0, reached))

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`; a bound has many levels."""
        with torch.no_grad():
            found = self.base.icdf(value)
            inside = (found > self.low) & (found < self.high)
            found = found.clamp(self.low, self.high)
        if not torch.is_grad_enabled():
            return found
        level = torch.where(inside, value, 0.5)  # at 0 and 1 a base has no finite gradient
        return torch.where(inside, self.base.icdf(level), found)

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        return self._moments[0]

    @property
    def variance(self) -> Tensor:
        """Variance, `[...]`."""
        return self._moments[1]

    @property
    def mode(self) -> Tensor:
        """The heavier bound if it outweighs the density, else the base's mode; see `Mixed`.

        A mode of the base beyond a bound is moved to that bound.
        """
        heaviest = self.atom_masses.max(-1)
        between = 1 - self.atom_masses.sum(-1)
        inside = self.base.mode.clamp(self.low, self.high)
        return torch.where(heaviest.values > between, self.atoms[heaviest.indices], inside)

    def entropy(self) -> Tensor:
        """Computes the entropy in nats, `[...]`: of masses, and of the density between."""
        on_bounds = entropies(self._log_masses).sum(-1)
        return on_bounds + entropy_between(self.base, self.low, self.high)

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`, differentiable between the bounds."""
        return self.base.rsample(torch.Size(sample_shape)).clamp(self.low, self.high)

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`."""
        return self.base.sample(torch.Size(sample_shape)).clamp(self.low, self.high)

    @lazy_property
    def _log_masses(self) -> Tensor:
        """Logarithms of the probabilities of both bounds, `[..., 2]`."""
        like = self.base.mean
        low, high = (like.new_full((), bound) for bound in (self.low, self.high))
        below, above = log_tails(self.base, low).below, log_tails(self.base, high).above
        return torch.stack((below, above), -1)

    @lazy_property
    def _moments(self) -> tuple[Tensor, Tensor]:
        return clipped_moments(self.base, self.low, self.high)
