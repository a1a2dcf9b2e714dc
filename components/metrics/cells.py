"""Likelihood of cells: one measure for histograms, densities and distributions with atoms."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.distributions import Censored, Histogram, Mixture, StudentT, WithAtoms
from components.distributions.dispatch import functional
from components.distributions.tails import log_tails
from components.distributions.tensors import constant, tiny
from components.supports import Bins


def nll_of_cells(distribution: Distribution, target: Tensor, bins: Bins) -> Tensor:
    r"""Computes the negative log-likelihood of the cell that a target lies in, as a density.

    .. math:: -\log \frac{P(e_k \le X < e_{k+1})}{e_{k+1} - e_k}, \quad e_k \le y < e_{k+1}

    The last cell holds its upper edge too, so that atoms on both bounds count. Of a histogram with
    these cells it is the negative log-likelihood. So it compares all distributions of real values
    at one resolution, also those whose own nats are of other units. Mass beyond the outer edges
    is lost; targets there are scored in the end cells. The components of a vector add up.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        target: What happened, `[...]` and the event shape.
        bins: The cells.

    Returns:
        Nats, `[...]`.
    """
    edges = constant(bins.edges, torch.float32, target.device)
    index = bins.index(target)
    low, high = edges[index], edges[index + 1]
    infinity = high.new_full((), torch.inf)
    closed = torch.where(index == bins.size - 1, torch.nextafter(high, infinity), high)
    masses = log_mass_between(distribution, low, closed)
    widths = (high - low).log()
    return widths.flatten(masses.ndim).sum(-1) - masses if bins.shape else widths - masses


@functional()
def log_mass_between(distribution: Distribution, low: Tensor, high: Tensor) -> Tensor:
    r"""Computes :math:`\log P(low \le X < high)`; the logarithms of components are added.

    Keeps its digits in the tails of normal distributions, Student's t and mixtures, and between
    the edges of histograms; of other distributions it is as exact as `cdf`.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        low: Lower ends, `[...]` and the event shape.
        high: Upper ends, above the lower ones.
    """
    mass = distribution.cdf(high) - distribution.cdf(low)
    return mass.clamp_min(tiny(mass)).log()


@log_mass_between.register
def _(distribution: Normal | StudentT | Mixture, low: Tensor, high: Tensor) -> Tensor:
    """From the side on which less lies beyond."""
    start, end = log_tails(distribution, low.double()), log_tails(distribution, high.double())
    upper = end.below > start.above
    most = torch.where(upper, start.above, end.below)
    least = torch.where(upper, end.above, start.below)
    return (most + (-torch.expm1(least - most)).clamp_min(tiny(most)).log()).to(low.dtype)


@log_mass_between.register
def _(distribution: Histogram, low: Tensor, high: Tensor) -> Tensor:
    left, right = distribution.edges[:-1], distribution.edges[1:]
    overlap = torch.minimum(high.unsqueeze(-1), right) - torch.maximum(low.unsqueeze(-1), left)
    mass = (distribution.cells.probs * overlap.clamp_min(0) / distribution.widths).sum(-1)
    return mass.clamp_min(tiny(mass)).log()


@log_mass_between.register
def _(distribution: WithAtoms, low: Tensor, high: Tensor) -> Tensor:
    smooth = distribution.weight.log() + log_mass_between(distribution.base, low, high)
    return _add(smooth, distribution.atoms, distribution.atom_masses, low, high)


@log_mass_between.register
def _(distribution: Censored, low: Tensor, high: Tensor) -> Tensor:
    inner_low, inner_high = (x.clamp(distribution.low, distribution.high) for x in (low, high))
    inside = log_mass_between(distribution.base, inner_low, inner_high)
    return _add(inside, distribution.atoms, distribution.atom_masses, low, high)


def _add(log_mass: Tensor, atoms: Tensor, masses: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Adds the atoms that lie between the ends."""
    held = (low.unsqueeze(-1) <= atoms) & (atoms < high.unsqueeze(-1))
    mass = torch.where(held, masses, 0.0).sum(-1)
    return torch.logaddexp(log_mass, mass.clamp_min(tiny(mass)).log())
