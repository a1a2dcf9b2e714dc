"""A distribution given by some of its quantiles."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import constraints
from torch.distributions.utils import lazy_property
from torch.types import _size

from components.distributions.expanding import Expandable
from components.distributions.tensors import (
    gather,
    require_increasing,
    searchsorted,
    tiny,
    to_float32,
)


class Quantiles(Expandable):
    r"""A density that is constant between given quantiles and falls exponentially beyond them.

    The tails hold the rest of the probability, and start with the density of the cell next to
    them: below the lowest quantile v_0, with level l_0, the density is
    :math:`d_0 e^{-d_0 (v_0 - x) / l_0}`. So `cdf` and `icdf` are exact inverses, no value is
    impossible, and the likelihood is that of a proper density.

    Args:
        values: The quantiles, `[..., Q]`, in the units of the outcome; sorted if they cross.
        levels: Their probabilities, increasing between 0 and 1, `[Q]`, at least two.

    Raises:
        ValueError: If there are fewer than two levels or not as many as values, or, on a CPU, they
            do not increase between 0 and 1.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object
    has_rsample = True
    support = constraints.real

    rows = ("values",)

    def __init__(self, values: Tensor, levels: Tensor) -> None:
        if levels.ndim != 1 or len(levels) < 2 or values.shape[-1:] != levels.shape:
            raise ValueError(
                f"Quantiles: levels {tuple(levels.shape)} must be two or more in one row, one for "
                f"each of the values {tuple(values.shape)}."
            )
        require_increasing(levels, "Quantiles: levels", 0.0, 1.0)
        self.values = to_float32(values).sort(-1).values
        self.levels = levels.to(self.values.dtype)
        super().__init__(values.shape[:-1], validate_args=False)

    @lazy_property
    def widths(self) -> Tensor:
        """Distances between neighboring quantiles, positive, `[..., Q - 1]`."""
        widths = self.values.diff(dim=-1)
        return widths.clamp_min(torch.finfo(widths.dtype).eps ** 2)

    @property
    def masses(self) -> Tensor:
        """Probabilities between neighboring quantiles, `[Q - 1]`."""
        return self.levels.diff()

    @property
    def densities(self) -> Tensor:
        """Densities between neighboring quantiles, `[..., Q - 1]`."""
        return self.masses / self.widths

    @property
    def tails(self) -> tuple[Tensor, Tensor]:
        """Masses of the lower and of the upper tail, scalars."""
        return self.levels[0], 1 - self.levels[-1]

    @property
    def decays(self) -> tuple[Tensor, Tensor]:
        """Distances over which the lower and the upper tail fall by the factor e, each `[...]`."""
        densities = self.densities
        return self.tails[0] / densities[..., 0], self.tails[1] / densities[..., -1]

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes the log-density at values `[...]`."""
        cell = self._between(searchsorted(self.values, value))
        below, above = self._beyond(value)
        lower, upper = self.decays
        return gather(self.densities.log(), cell) - below / lower - above / upper

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`."""
        cell = self._between(searchsorted(self.values, value))
        inside = (value - gather(self.values, cell)) / gather(self.widths, cell)
        linear = self.levels[cell] + self.masses[cell] * inside.clamp(0, 1)
        below, above = self._beyond(value)
        lower, upper = self.decays
        linear = linear + self.tails[0] * torch.expm1(-below / lower)
        return linear - self.tails[1] * torch.expm1(-above / upper)

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`: the inverse of `cdf`, differentiable."""
        value = value.to(self.values.dtype)
        cell = self._between(torch.bucketize(value.detach().contiguous(), self.levels))
        inside = (value - self.levels[cell]) / self.masses[cell]
        linear = gather(self.values, cell) + gather(self.widths, cell) * inside.clamp(0, 1)
        lower, upper = self.decays
        linear = linear + lower * (value / self.tails[0]).clamp_max(1).log()
        return linear - upper * ((1 - value) / self.tails[1]).clamp_max(1).log()

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        (below, above), (lower, upper) = self.tails, self.decays
        middles = self.values[..., :-1] + self.widths / 2
        inner = (self.masses * middles).sum(-1)
        outer = below * (self.values[..., 0] - lower) + above * (self.values[..., -1] + upper)
        return inner + outer

    @property
    def variance(self) -> Tensor:
        """Variance, `[...]`."""
        (below, above), (lower, upper) = self.tails, self.decays
        centered = self.values - self.mean.unsqueeze(-1)
        middles = centered[..., :-1] + self.widths / 2
        inner = (self.masses * (middles.square() + self.widths.square() / 12)).sum(-1)
        low = below * ((centered[..., 0] - lower).square() + lower.square())
        high = above * ((centered[..., -1] + upper).square() + upper.square())
        return inner + low + high

    @property
    def mode(self) -> Tensor:
        """Middle of the densest cell, `[...]`."""
        cell = self.densities.argmax(-1)
        return gather(self.values[..., :-1] + self.widths / 2, cell)

    def entropy(self) -> Tensor:
        """Computes the differential entropy in nats, `[...]`."""
        log_densities = self.densities.log()
        inner = -(self.masses * log_densities).sum(-1)
        below, above = self.tails
        return inner + below * (1 - log_densities[..., 0]) + above * (1 - log_densities[..., -1])

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]` by inversion, differentiable."""
        shape = self._extended_shape(torch.Size(sample_shape))
        level = torch.rand(shape, dtype=self.values.dtype, device=self.values.device)
        return self.icdf(level.clamp_min(tiny(level)))  # at 0 the lower tail has no end

    def _between(self, index: Tensor) -> Tensor:
        """Turns the number of quantiles below into the cell, those of the tails into the next."""
        return (index - 1).clamp(0, len(self.levels) - 2)

    def _beyond(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """How far values lie below the lowest and above the highest quantile, 0 for others."""
        return (self.values[..., 0] - value).clamp_min(0), (
            value - self.values[..., -1]
        ).clamp_min(0)
