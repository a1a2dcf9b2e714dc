"""The size of the Fourier coefficients of a distribution before they were normalized."""

from __future__ import annotations

from functools import singledispatch

from torch import Tensor
from torch.distributions import Distribution, Independent

from components.distributions.affine import Affine
from components.distributions.fourier import (
    CategoricalWithSpecials,
    FourierCells,
    FourierDensity,
    TransformedFourier,
)
from components.distributions.functionals.smoothness import by_parseval
from components.distributions.functionals.vectors import add_components
from components.distributions.histogram import Histogram


@singledispatch
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


@coefficient_power.register(FourierCells)
@coefficient_power.register(FourierDensity)
def _(distribution: FourierCells | FourierDensity) -> Tensor:
    c_0 = distribution.coefficients.square().sum(-1)
    return 4 * c_0.square() * by_parseval(distribution.correlations)


@coefficient_power.register
def _(distribution: Histogram) -> Tensor:
    return coefficient_power(distribution.cells)


@coefficient_power.register
def _(distribution: CategoricalWithSpecials) -> Tensor:
    return coefficient_power(distribution.ordered)


@coefficient_power.register(Affine)
@coefficient_power.register(TransformedFourier)
def _(distribution: Affine | TransformedFourier) -> Tensor:
    return coefficient_power(distribution.base)


@coefficient_power.register(Independent)
def _(distribution: Independent[Distribution]) -> Tensor:
    return add_components(coefficient_power(distribution.base_dist), distribution)
