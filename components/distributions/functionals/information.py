"""Entropy and normalizer: how undecided a distribution is, and how large its logits are."""

from __future__ import annotations

from functools import singledispatch

from torch import Tensor
from torch.distributions import Distribution, Independent

from components.distributions.affine import Affine
from components.distributions.categorical import Categorical
from components.distributions.functionals.quadrature import quantiles
from components.distributions.functionals.vectors import add_components
from components.distributions.histogram import Histogram
from components.distributions.mixture import Mixture
from components.distributions.precision import to_float32


@singledispatch
def entropy(distribution: Distribution) -> Tensor:
    """Computes the entropy in nats: torch's closed form unless registered otherwise.

    Args:
        distribution: A distribution of batch shape `[...]`.

    Returns:
        Entropies `[...]`; differential ones, in the units of the outcome, for real values.
    """
    return distribution.entropy()


@entropy.register(Independent)
def _(distribution: Independent[Distribution]) -> Tensor:
    return add_components(entropy(distribution.base_dist), distribution)


@entropy.register
def _(distribution: Affine) -> Tensor:
    return entropy(distribution.base) + distribution.log_scale


@entropy.register
def _(distribution: Mixture) -> Tensor:
    x, _, weights = quantiles(distribution, distribution.loc)
    return -(weights * distribution.log_prob(x)).sum(0)


@singledispatch
def log_normalizer(distribution: Distribution) -> Tensor:
    """Computes the logarithm of the sum of exponentiated raw logits, which a z-loss keeps small.

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


@log_normalizer.register
def _(distribution: Affine) -> Tensor:
    return log_normalizer(distribution.base)


@log_normalizer.register(Independent)
def _(distribution: Independent[Distribution]) -> Tensor:
    return add_components(log_normalizer(distribution.base_dist), distribution)
