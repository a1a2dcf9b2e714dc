"""Point masses: at chosen values beside a density, and in chosen cells beside smooth ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.distributions.utils import lazy_property
from torch.types import _size

from components.distributions.categorical import Discrete
from components.distributions.expanding import Expandable
from components.distributions.tensors import constant, entropies, tiny, to_float32


class Mixed(Expandable, ABC):
    """A distribution of real values with atoms, single values of positive probability.

    `log_prob` is the logarithm of the mass at an atom, and of the density elsewhere. The two have
    different units: nats of a mixed distribution compare with those of another one with the same
    atoms, but not with those of a density, which has no mass at any value, nor of a histogram,
    which spreads it over a cell. The probabilities of cells compare between all of them
    (`components.metrics.cells.nll_of_cells`).

    Entropies add up the same way. `mode` is the heaviest atom if it outweighs the density, and
    where the density is highest if not.
    """

    arg_constraints = {}  # noqa: RUF012 - torch's declaration; checks are off per object

    @property
    @abstractmethod
    def atoms(self) -> Tensor:
        """The values of positive probability, `[A]`, increasing."""

    @property
    @abstractmethod
    def atom_masses(self) -> Tensor:
        """Their probabilities, `[..., A]`."""

    @abstractmethod
    def is_atom(self, value: Tensor) -> Tensor:
        """Returns which values `[...]` score as an atom, as booleans `[...]`."""


def has_atoms(distribution: Distribution) -> bool:
    """Returns whether single values, or those of components of a vector, have a mass."""
    while isinstance(distribution, Independent):
        distribution = distribution.base_dist
    return isinstance(distribution, Mixed)


class WithAtoms(Mixed):
    r"""A distribution on the line with A point masses beside its density.

    .. math:: P = w_A \, P_\text{base} + \sum_{a<A} w_a \, \delta_{v_a}, \quad
        w = \mathrm{softmax}(\text{logits})

    For quantities that are often exactly zero, or exactly full. A value is an atom if it equals
    one in float32; see `Mixed` for the units of its nats.

    Args:
        base: The distribution of all other values, which has a density, batch shape `[...]`.
        logits: One for each atom, then one for the base, `[..., A + 1]`.
        values: The atoms, increasing, in the units of the outcome.
        low: Values below count as this one.
        high: Values above count as this one.

    Raises:
        ValueError: If there is no atom, atoms do not increase, or there is not one logit more.
    """

    has_rsample = True

    rows = ("base", "_log_weights")

    def __init__(
        self,
        base: Distribution,
        logits: Tensor,
        values: tuple[float, ...],
        low: float = -torch.inf,
        high: float = torch.inf,
    ) -> None:
        _check("WithAtoms", values, logits)
        self.base, self.values, self.low, self.high = base, values, low, high
        self._log_weights = to_float32(logits).log_softmax(-1)
        super().__init__(base.batch_shape, validate_args=False)

    @property
    def support(self) -> Any:
        """The values that are possible: those of the base, among which atoms are."""
        return self.base.support

    @property
    def atoms(self) -> Tensor:
        """The values of positive probability, `[A]`, increasing."""
        return constant(self.values, self._log_weights.dtype, self._log_weights.device)

    @lazy_property
    def atom_masses(self) -> Tensor:
        """Their probabilities, `[..., A]`."""
        return self._log_weights[..., :-1].exp()

    @property
    def weight(self) -> Tensor:
        """Probability of all that is no atom, `[...]`."""
        return self._log_weights[..., -1].exp()

    def is_atom(self, value: Tensor) -> Tensor:
        """Returns which values `[...]` score as an atom, as booleans `[...]`."""
        return self._hits(value).any(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """Computes log-masses at atoms, and log-densities at other values, `[...]`."""
        hits = self._hits(value)
        mass = torch.where(hits, self._log_weights[..., :-1], 0.0).sum(-1)
        density = self._log_weights[..., -1] + self.base.log_prob(value.clamp(self.low, self.high))
        return torch.where(hits.any(-1), mass, density)

    def cdf(self, value: Tensor) -> Tensor:
        """Computes the probability of at most `value`, `[...]`; it jumps at atoms."""
        passed = value.float().unsqueeze(-1) >= self.atoms.float()
        jumped = torch.where(passed, self.atom_masses, 0.0).sum(-1)
        return (self.weight * self.base.cdf(value) + jumped).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        """Computes quantiles at probabilities `[...]`; an atom has many levels."""
        level = value.to(self.weight.dtype).unsqueeze(-1)
        masses = self.atom_masses
        before = self.weight.unsqueeze(-1) * self._below + masses.cumsum(-1) - masses
        jumped = torch.minimum((level - before).clamp_min(0), masses).sum(-1)
        weight = self.weight.clamp_min(tiny(self.weight))  # 0 / 0 would have no gradient
        rest = ((level.squeeze(-1) - jumped) / weight).clamp(0, 1)
        at_atom = (before <= level) & (level <= before + masses)
        atom, hit = torch.where(at_atom, self.atoms, -torch.inf).amax(-1), at_atom.any(-1)
        level = torch.where(hit, 0.5, rest)  # at 0 and 1 a base has no finite gradient
        return torch.where(hit, atom, self.base.icdf(level))

    @property
    def mean(self) -> Tensor:
        """Mean, `[...]`."""
        return self.weight * self.base.mean + (self.atom_masses * self.atoms).sum(-1)

    @property
    def variance(self) -> Tensor:
        """Variance, `[...]`."""
        mean = self.mean
        of_base = self.base.variance + (self.base.mean - mean).square()
        of_atoms = self.atom_masses * (self.atoms - mean.unsqueeze(-1)).square()
        return self.weight * of_base + of_atoms.sum(-1)

    @property
    def mode(self) -> Tensor:
        """The heaviest atom, or where the density is highest; see `Mixed`."""
        heaviest = self.atom_masses.max(-1)
        return torch.where(
            heaviest.values > self.weight, self.atoms[heaviest.indices], self.base.mode
        )

    def entropy(self) -> Tensor:
        """Computes the entropy in nats, `[...]`: of masses, and of the density."""
        choice = entropies(self._log_weights).sum(-1)
        return choice + self.weight * self.base.entropy()

    def rsample(self, sample_shape: _size = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]` by inversion, differentiable between atoms."""
        shape = self._extended_shape(torch.Size(sample_shape))
        like = self._log_weights
        return self.icdf(torch.rand(shape, dtype=like.dtype, device=like.device))

    @lazy_property
    def _below(self) -> Tensor:
        """The probability that the base gives to values up to each atom, `[..., A]`."""
        column = self.atoms.view(-1, *(1,) * len(self.batch_shape))
        return self.base.cdf(column.expand(-1, *self.batch_shape)).movedim(0, -1)

    def _hits(self, value: Tensor) -> Tensor:
        """Which atom a value is, `[..., A]`."""
        inside = value.clamp(self.low, self.high)
        return inside.float().unsqueeze(-1) == self.atoms.float()


class CategoricalWithAtoms(Discrete):
    r"""Ordered cells, A of which have a mass of their own beside their part of a smooth one.

    .. math:: q_j = w_A \, p_j + \sum_{a<A} w_a [j = j_a], \quad
        w = \mathrm{softmax}(\text{logits})

    A smooth distribution alone could not give one cell more than its neighbors.

    Args:
        logits: One for each atom, then one for the smooth distribution, `[..., A + 1]`.
        ordered: The smooth distribution p, batch shape `[...]`.
        places: The cells j_a of the atoms, increasing.

    Raises:
        ValueError: If there is no atom, cells do not increase, or there is not one logit more.
    """

    rows = ("ordered", "_log_weights")

    def __init__(self, logits: Tensor, ordered: Discrete, places: tuple[int, ...]) -> None:
        _check("CategoricalWithAtoms", places, logits)
        self._log_weights = to_float32(logits).log_softmax(-1)
        self.ordered = ordered
        self.places = places
        self.size = ordered.size
        super().__init__(ordered.batch_shape, validate_args=False)

    @property
    def weight(self) -> Tensor:
        """Probability of the smooth distribution, `[...]`."""
        return self._log_weights[..., -1].exp()

    def _log_prob(self, index: Tensor) -> Tensor:
        """As cheaply as that of the smooth distribution."""
        hits = index.unsqueeze(-1) == self._index
        atom = torch.where(hits, self._log_weights[..., :-1], 0.0).sum(-1)
        smooth = self._log_weights[..., -1] + self.ordered.log_prob(index)
        return torch.where(hits.any(-1), _add(smooth, atom), smooth)

    @lazy_property
    def log_probs(self) -> Tensor:
        """Normalized log-probabilities of all cells, `[..., size]`."""
        smooth, index = self._log_weights[..., -1:] + self.ordered.log_probs, self._index
        both = _add(smooth[..., index], self._log_weights[..., :-1])
        return smooth.index_copy(-1, index, both)

    @property
    def logits(self) -> Tensor:
        """The log-probabilities, as single cells have no other logits."""
        return self.log_probs

    @property
    def _index(self) -> Tensor:
        return constant(self.places, torch.int64, self._log_weights.device)


def _add(log_mass: Tensor, other: Tensor) -> Tensor:
    """The logarithm of a sum of masses, with gradients of 0 where both are 0."""
    none = torch.maximum(log_mass, other) == -torch.inf  # there `logaddexp` has NaN
    held = (torch.where(none, 0.0, each) for each in (log_mass, other))
    return torch.where(none, -torch.inf, torch.logaddexp(*held))


def _check(owner: str, atoms: tuple[float, ...], logits: Tensor) -> None:
    if not atoms or any(not a < b for a, b in pairwise(atoms)):
        raise ValueError(f"{owner}: atoms {atoms} must be one or more, increasing; sort them.")
    if logits.shape[-1] != len(atoms) + 1:
        raise ValueError(
            f"{owner}: {len(atoms)} atoms have {len(atoms) + 1} logits, the last for all else, "
            f"got {logits.shape[-1]}."
        )
