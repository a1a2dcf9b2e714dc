"""Functionals of distributions for losses and metrics, in closed form where there is one."""

from __future__ import annotations

import math
from functools import singledispatch

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.distributions.categorical import Categorical, CategoricalWithSpecials, Discrete
from components.distributions.dispatch import functional
from components.distributions.fourier import FourierCells, FourierDensity, TransformedFourier
from components.distributions.histogram import Histogram
from components.distributions.mixture import Mixture
from components.distributions.quantiles import Quantiles
from components.distributions.student import StudentT
from components.distributions.tensors import to_float32


@functional(lambda value, affine: value / affine.scale.pow(3))
def roughness(distribution: Distribution) -> Tensor:
    r"""Computes :math:`\int p'(x)^2 dx` of a density, in units of the outcome⁻³.

    Where the density is constant in cells, the derivative is the difference between neighboring
    cells over the distance of their middles; over numbered outcomes, between neighboring ones.
    Jumps at the ends of the range do not count, nor those to outcomes outside the
    order. Fourier distributions over cells have instead the roughness of the density that their
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
    return by_parseval(distribution.correlations) / distribution.half_width**3


@roughness.register
def _(distribution: TransformedFourier) -> Tensor:
    return distribution.roughness


@roughness.register
def _(distribution: Discrete) -> Tensor:
    return distribution.probs.diff(dim=-1).square().sum(-1)


@roughness.register
def _(distribution: FourierCells) -> Tensor:
    return _resolved(distribution, distribution.size)


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


def _resolved(cells: FourierCells, length: Tensor | int) -> Tensor:
    """The roughness of the density over a length that cells resolve; eps flattens it."""
    unit = by_parseval(cells.correlations) / (1 + cells.size * cells.eps) ** 2
    return unit * (2 / length) ** 3


def _stepwise(densities: Tensor, widths: Tensor) -> Tensor:
    distances = (widths[..., 1:] + widths[..., :-1]) / 2
    return (densities.diff(dim=-1).square() / distances).sum(-1)


@functional()
def coefficient_power(distribution: Distribution) -> Tensor:
    r"""Computes :math:`4 \pi^2 \sum_{k=1}^N k^2 |c_k|^2` of the autocorrelation c of coefficients.

    .. math:: c_k = \sum_{j=0}^{N-k} a_{j+k} \bar a_j

    As the distribution depends on :math:`c_k / c_0` alone, this is
    :math:`4 c_0^2 \int_{-1}^1 p'(z)^2 dz`: of coefficients s times as large it is s⁴ times as
    large, of the same distribution. Units of the outcome and widths of cells do not enter. Of a
    vector, the components' values are added.

    Args:
        distribution: A Fourier distribution of batch shape `[...]`, or one that holds it.

    Returns:
        Values `[...]`, at least 0.

    Raises:
        TypeError: If the distribution is not made of Fourier coefficients.
    """
    raise TypeError(
        f"A {type(distribution).__name__} is not made of Fourier coefficients; "
        "register what it has with `coefficient_power.register` or drop the term."
    )


@coefficient_power.register
def _(distribution: FourierCells | FourierDensity) -> Tensor:
    c_0 = distribution.coefficients.square().sum(-1)
    return 4 * c_0.square() * by_parseval(distribution.correlations)


@coefficient_power.register
def _(distribution: Histogram) -> Tensor:
    return coefficient_power(distribution.cells)


@coefficient_power.register
def _(distribution: CategoricalWithSpecials) -> Tensor:
    return coefficient_power(distribution.ordered)


@coefficient_power.register
def _(distribution: TransformedFourier) -> Tensor:
    return coefficient_power(distribution.base)


@functional()
def log_normalizer(distribution: Distribution) -> Tensor:
    """Computes the log-sum-exp of raw logits, which a z-loss keeps small.

    Args:
        distribution: A distribution made of logits, batch shape `[...]`.

    Returns:
        Logarithms of normalizers, `[...]`.

    Raises:
        TypeError: If the distribution has no raw logits.
    """
    raise TypeError(
        f"A {type(distribution).__name__} has no raw logits to normalize; "
        "use the z-loss with a head that predicts logits (LinearHead, FanHead)."
    )


@log_normalizer.register
def _(distribution: Categorical) -> Tensor:
    return to_float32(distribution.logits).logsumexp(-1)


@log_normalizer.register
def _(distribution: Histogram) -> Tensor:
    return log_normalizer(distribution.cells)


def probabilities(distribution: Distribution, edges: Tensor) -> Tensor:
    """Computes the mass of a distribution of real values in each of K cells.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        edges: Borders of the cells, increasing, `[K + 1]`.

    Returns:
        Masses, `[..., K]`; their sum is less than 1 by what lies beyond the outer edges.
    """
    shape = (-1, *(1,) * len(distribution.batch_shape))
    below = distribution.cdf(edges.view(shape).expand(-1, *distribution.batch_shape))
    return below.diff(dim=0).movedim(0, -1).clamp_min(0)
