"""A distribution in other units: scaled and shifted."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.types import _size

from components.distributions.atoms import has_atoms
from components.distributions.expanding import Expandable
from components.distributions.tensors import joint_shape, require_positive


class Affine(Expandable):
    r"""The distribution of loc + scale · X, where X follows the base.

    A model that works in scaled units so predicts in the units of the data, and its nats refer
    to those: :math:`\log p(y) = \log p_X((y - loc)/scale) - \log scale`.

    Args:
        base: The distribution of X, batch shape `[...]`; over vectors, each component is scaled by
            itself.
        loc: Shift, of a shape that broadcasts to batch and event shape of the base.
        scale: Factor, positive, of such a shape too.

    Raises:
        ValueError: If `loc` or `scale` have more elements than there are distributions to scale,
            the base has point masses, which have no units to convert, or, on a CPU, a scale is
            not positive.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object

    rows = ("base",)  # location and scale are broadcast to those of the base

    def __init__(self, base: Distribution, loc: Tensor, scale: Tensor) -> None:
        whole = base.batch_shape + base.event_shape
        if joint_shape(whole, loc, scale) != whole:
            raise ValueError(
                f"Affine: loc {tuple(loc.shape)} and scale {tuple(scale.shape)} do not broadcast "
                f"to the shape of the base, {tuple(whole)}; expand its parameters first."
            )
        if has_atoms(base):
            raise ValueError(
                "Affine: the distribution to scale has point masses, which a value in other units "
                "misses by rounding; give the head bins, or use data without scaling."
            )
        require_positive(scale, "Affine: scale")
        self.base = base
        self.loc = loc
        self.scale = scale
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override] # torch declares a plain attribute
        """Whether the base can be sampled with gradients."""
        return self.base.has_rsample

    @property
    def support(self) -> constraints.Constraint:
        """The values that are possible: those of the base, in the other units."""
        return self._moved(self.base.support)

    @property
    def log_scale(self) -> Tensor:
        """Logarithm of the scale, summed over the event, `[...]`: a log-density is less by it."""
        whole = self.scale.log().expand(self.batch_shape + self.event_shape)
        return whole.flatten(len(self.batch_shape)).sum(-1) if self.event_shape else whole

    def standardize(self, value: Tensor) -> Tensor:
        """Maps outcomes to those of the base."""
        return (value - self.loc) / self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`, in units of the values."""
        return self.base.log_prob(self.standardize(value)) - self.log_scale

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`."""
        return self.base.cdf(self.standardize(value))

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`."""
        return self._move(self.base.icdf(value))

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        return self._move(self.base.mean)

    @property
    def variance(self) -> Tensor:
        """Variance, `[...]`."""
        return self.base.variance * self.scale.square()

    @property
    def mode(self) -> Tensor:
        """Where the density is highest, `[...]`."""
        return self._move(self.base.mode)

    def entropy(self) -> Tensor:
        """Computes the differential entropy in nats, `[...]`."""
        return self.base.entropy() + self.log_scale

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]` with gradients."""
        return self._move(self.base.rsample(torch.Size(sample_shape)))

    def sample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`."""
        with torch.no_grad():
            return self._move(self.base.sample(torch.Size(sample_shape)))

    def _move(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * value

    def _moved(self, support: Any) -> constraints.Constraint:
        """Returns the values that those of a support of the base become."""
        match support:
            case constraints.independent(base_constraint=each, reinterpreted_batch_ndims=axes):
                return constraints.independent(self._moved(each), axes)  # type: ignore[no-untyped-call]  # torch's
            case constraints.interval(lower_bound=low, upper_bound=high):
                return constraints.interval(self._move(low), self._move(high))  # type: ignore[no-untyped-call]  # torch's
            case constraints.Constraint() if support is constraints.real:
                return support
        raise NotImplementedError(f"Affine: there is no rule how {support} is scaled.")
