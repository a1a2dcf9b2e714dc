"""Functionals of distributions for losses and metrics: of coefficients, of logits, of cells."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.distributions.atoms import CategoricalWithAtoms, WithAtoms
from components.distributions.categorical import Categorical, CategoricalWithSpecials
from components.distributions.dispatch import functional
from components.distributions.fourier import (
    EvenFourierCells,
    EvenFourierDensity,
    FourierCells,
    FourierDensity,
    TransformedFourier,
)
from components.distributions.histogram import Histogram
from components.distributions.roughness import by_parseval
from components.distributions.tensors import to_float32


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
def _(distribution: EvenFourierDensity) -> Tensor:
    return coefficient_power(FourierDensity(distribution.coefficients, -1, 1))


@coefficient_power.register
def _(distribution: EvenFourierCells) -> Tensor:
    return coefficient_power(distribution.circle)


@coefficient_power.register
def _(distribution: Histogram) -> Tensor:
    return coefficient_power(distribution.cells)


@coefficient_power.register
def _(distribution: CategoricalWithSpecials | CategoricalWithAtoms) -> Tensor:
    return coefficient_power(distribution.ordered)


@coefficient_power.register
def _(distribution: TransformedFourier | WithAtoms) -> Tensor:
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

    A cell holds its upper edge, and the first one its lower edge too.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        edges: Borders of the cells, increasing, `[K + 1]`.

    Returns:
        Masses, `[..., K]`; their sum is less than 1 by what lies beyond the outer edges.
    """
    shape = (-1, *(1,) * len(distribution.batch_shape))
    first = edges[:1].float()  # in which atoms are compared
    before = torch.nextafter(first, torch.full_like(first, -math.inf))
    edges = torch.cat((before.to(edges.dtype), edges[1:]))
    below = distribution.cdf(edges.view(shape).expand(-1, *distribution.batch_shape))
    return below.diff(dim=0).movedim(0, -1).clamp_min(0)
