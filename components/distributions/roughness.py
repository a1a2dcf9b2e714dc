"""Roughness: the integral of the squared slope of a density, in closed form where there is one."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.distributions.atoms import CategoricalWithAtoms, WithAtoms
from components.distributions.categorical import CategoricalWithSpecials, Discrete
from components.distributions.dispatch import functional
from components.distributions.fourier import (
    EvenFourierCells,
    EvenFourierDensity,
    FourierCells,
    FourierDensity,
    TransformedFourier,
)
from components.distributions.histogram import Histogram
from components.distributions.mixture import Mixture
from components.distributions.quantiles import Quantiles
from components.distributions.student import StudentT


@functional(lambda value, affine: value / affine.scale.pow(3))
def roughness(distribution: Distribution) -> Tensor:
    r"""Computes :math:`\int p'(x)^2 dx` of a density, in units of the outcome⁻³.

    Where the density is constant in cells, the derivative is the difference between neighboring
    cells over the distance of their middles; over numbered outcomes, between neighboring ones.
    Jumps at the ends of the range do not count, nor those to outcomes outside the order, nor point
    masses. Fourier distributions over cells have instead the roughness of the density that their
    cells resolve: closed, without an axis of cells, and the limit of many cells. Where such a
    distribution takes the density at even centers, it counts as if all cells were equally wide. Of
    a vector, the components' values are added.

    Args:
        distribution: A distribution of batch shape `[...]`.

    Returns:
        Values `[...]`, at least 0.

    Raises:
        TypeError: If no formula is known for the distribution.
    """
    raise TypeError(
        f"The roughness of a {type(distribution).__name__} is unknown; "
        "register a formula with `roughness.register` or drop the Roughness term."
    )


@roughness.register
def _(distribution: FourierDensity) -> Tensor:
    return by_parseval(distribution.correlations) / distribution.unit_width**3


@roughness.register
def _(distribution: EvenFourierDensity) -> Tensor:
    return 2 * by_parseval(distribution.correlations) / distribution.unit_width**3


@roughness.register
def _(distribution: TransformedFourier) -> Tensor:
    return distribution.roughness


@roughness.register
def _(distribution: WithAtoms) -> Tensor:
    return distribution.weight.square() * roughness(distribution.base)


@roughness.register
def _(distribution: Discrete) -> Tensor:
    return distribution.probs.diff(dim=-1).square().sum(-1)


@roughness.register
def _(distribution: FourierCells) -> Tensor:
    return _resolved(distribution, distribution.size)


@roughness.register
def _(distribution: EvenFourierCells) -> Tensor:
    return 2 * _resolved(distribution, 2 * distribution.size)


@roughness.register
def _(distribution: CategoricalWithAtoms) -> Tensor:
    return distribution.weight.square() * roughness(distribution.ordered)


@roughness.register
def _(distribution: CategoricalWithSpecials) -> Tensor:
    return distribution.ordered_probability.square() * roughness(distribution.ordered)


@roughness.register
def _(distribution: Histogram) -> Tensor:
    return _of_cells(distribution.cells, distribution)


@roughness.register
def _(distribution: Quantiles) -> Tensor:
    densities = distribution.densities
    lower, upper = distribution.decays
    tails = densities[..., 0].square() / lower + densities[..., -1].square() / upper
    return _stepwise(densities, distribution.widths) + tails / 2


@roughness.register
def _(distribution: Normal) -> Tensor:
    return 1 / (4 * math.sqrt(math.pi) * distribution.scale.pow(3))


@roughness.register
def _(distribution: Mixture) -> Tensor:
    r"""Pairs of components: the integral of :math:`p_i' p_j'` is minus a normal's curvature."""
    distance = distribution.loc.unsqueeze(-1) - distribution.loc.unsqueeze(-2)
    variance = distribution.scale.square()
    spread = variance.unsqueeze(-1) + variance.unsqueeze(-2)
    z2 = distance.square() / spread
    pairs = (-z2 / 2).exp() * (1 - z2) / (math.sqrt(2 * math.pi) * spread.pow(1.5))
    weights = distribution.weights
    return (weights.unsqueeze(-1) * weights.unsqueeze(-2) * pairs).sum((-2, -1))


@roughness.register
def _(distribution: StudentT) -> Tensor:
    r"""Substitute :math:`t^2/\nu = x/(1 - x)`: a beta function."""
    df = distribution.df.double()
    log_peak = torch.lgamma((df + 1) / 2) - torch.lgamma(df / 2) - (math.pi * df).log() / 2
    log_beta = torch.lgamma(df + 1.5) - torch.lgamma(df + 3) + math.log(math.pi) / 2 - math.log(2)
    log_unit = 2 * log_peak + 2 * torch.log1p(1 / df) + 1.5 * df.log() + log_beta
    return log_unit.exp().to(distribution.scale.dtype) / distribution.scale.pow(3)


def by_parseval(correlations: Tensor) -> Tensor:
    r"""Computes :math:`\int_{-1}^1 p'(z)^2 dz = \pi^2 \sum_{k=1}^N k^2 |g_k|^2` of a density.

    Args:
        correlations: The g of the density :math:`1/2 + \Re \sum g_k e^{i \pi k z}`, `[..., N]`.

    Returns:
        Values `[...]`.
    """
    power = torch.view_as_real(correlations).square().sum(-1)
    k = torch.arange(1, power.shape[-1] + 1, dtype=power.dtype, device=power.device)
    return math.pi**2 * (k.square() * power).sum(-1)


@singledispatch
def _of_cells(cells: Discrete, histogram: Histogram) -> Tensor:
    """The roughness of a histogram, which depends on what its cells are made of."""
    return _stepwise(histogram.densities, histogram.widths)


@_of_cells.register
def _(cells: FourierCells, histogram: Histogram) -> Tensor:
    return _resolved(cells, histogram.edges[-1] - histogram.edges[0])


@_of_cells.register
def _(cells: EvenFourierCells, histogram: Histogram) -> Tensor:
    """Folded, the density doubles on half of the circle."""
    return 2 * _resolved(cells, 2 * (histogram.edges[-1] - histogram.edges[0]))


@_of_cells.register
def _(cells: CategoricalWithAtoms, histogram: Histogram) -> Tensor:
    smooth = Histogram(cells.ordered, histogram.edges)
    return cells.weight.square() * _of_cells(cells.ordered, smooth)


def _resolved(cells: FourierCells | EvenFourierCells, circle: Tensor | int) -> Tensor:
    """The roughness, around a circle of some length, of the density of cells; eps flattens it."""
    unit = by_parseval(cells.correlations) / (1 + cells.size * cells.eps) ** 2
    return unit * (2 / circle) ** 3


def _stepwise(densities: Tensor, widths: Tensor) -> Tensor:
    distances = (widths[..., 1:] + widths[..., :-1]) / 2
    return (densities.diff(dim=-1).square() / distances).sum(-1)
