"""What lies beyond a value: logarithms of tails far out, moments and entropies up to bounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.distributions.inversion import levels_and_weights
from components.distributions.mixture import Mixture
from components.distributions.quadrature import made_once, panels
from components.distributions.student import StudentT
from components.distributions.tensors import constant, tiny

PANELS, NODES = 32, 16  # of the quadrature of distributions without a closed form


class Tails(NamedTuple):
    """Logarithms of the probabilities on both sides of a value."""

    below: Tensor  # [...]
    above: Tensor  # [...]


@singledispatch
def log_tails(distribution: Distribution, value: Tensor) -> Tails:
    r"""Computes :math:`\log P(X \le x)` and :math:`\log P(X > x)`, with gradients.

    Normal distributions, Student's t and mixtures keep their digits however small a tail is. Of
    others the logarithm is taken of what `cdf` gives, at least the least number of the dtype.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        value: Values x, broadcastable with it.
    """
    below = distribution.cdf(value)
    return Tails(*(mass.clamp_min(tiny(mass)).log() for mass in (below, 1 - below)))


@log_tails.register
def _(distribution: Normal, value: Tensor) -> Tails:
    z = (value - distribution.loc) / distribution.scale
    return Tails(log_ndtr(z), log_ndtr(-z))


@log_tails.register
def _(distribution: Mixture, value: Tensor) -> Tails:
    z = (value.unsqueeze(-1) - distribution.loc) / distribution.scale
    weights = distribution.log_weights
    return Tails(*((weights + log_ndtr(side)).logsumexp(-1) for side in (z, -z)))


@log_tails.register
def _(distribution: StudentT, value: Tensor) -> Tails:
    return Tails(*distribution.log_tails(value))


def log_ndtr(z: Tensor) -> Tensor:
    r"""Computes the logarithm of the standard normal distribution function.

    torch's own has a gradient that float32 loses below -100 or so. Here it is

    .. math:: \frac{\varphi(z)}{\Phi(z)} = \sqrt{2 / \pi} \, / \, \mathrm{erfcx}(-z / \sqrt 2)

    Args:
        z: Standardized values, `[...]`.

    Returns:
        Logarithms, `[...]`, once differentiable.
    """
    held = z.detach()
    value: Tensor = torch.special.log_ndtr(held)
    hazard: Tensor = math.sqrt(2 / math.pi) / torch.special.erfcx(-held / math.sqrt(2))
    return torch.where(held.isinf(), value, value + hazard * (z - held))


@singledispatch
def clipped_moments(distribution: Distribution, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Computes mean and variance of values that are clipped to an interval.

    In closed form for normal distributions, Student's t and mixtures, else by quadrature of the
    distribution function over 32 panels.

    Args:
        distribution: A distribution with `cdf`, batch shape `[...]`.
        low: Lower bound.
        high: Upper bound.

    Returns:
        Mean and variance, each `[...]`.
    """
    x, weights = _rule(low, high, distribution.mean.device)
    column = x.view(-1, *(1,) * len(distribution.batch_shape))
    below = distribution.cdf(column.expand(-1, *distribution.batch_shape).to(distribution.mean))
    missing = (below.movedim(0, -1) * weights).sum(-1)  # of the mean to `high`
    square = 2 * (below.movedim(0, -1) * weights * (high - x)).sum(-1)
    like = distribution.mean.dtype
    return (high - missing).to(like), (square - missing.square()).to(like)


@made_once
def _rule(low: float, high: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Lays out points between the bounds and their weights, each `[512]`."""
    corners = torch.linspace(low, high, PANELS + 1, dtype=torch.float64, device="cpu")
    x, weights = panels(corners, NODES)
    return x.to(device), weights.to(device)


@clipped_moments.register
def _(distribution: Normal, low: float, high: float) -> tuple[Tensor, Tensor]:
    first, second = _of_normals(distribution.loc, distribution.scale, low, high)
    return _mean_and_variance(first, second, low, high, distribution.loc.dtype)


@clipped_moments.register
def _(distribution: Mixture, low: float, high: float) -> tuple[Tensor, Tensor]:
    weights = distribution.log_weights.double().softmax(-1)
    each = _of_normals(distribution.loc, distribution.scale, low, high)
    first, second = ((weights * moment).sum(-1) for moment in each)
    return _mean_and_variance(first, second, low, high, distribution.loc.dtype)


@clipped_moments.register
def _(distribution: StudentT, low: float, high: float) -> tuple[Tensor, Tensor]:
    r"""By the primitives of the density f times t and t².

    They are :math:`-\frac{\nu + t^2}{\nu - 1} f` and
    :math:`\frac{\nu F - t (\nu + t^2) f}{\nu - 2}`.
    """
    df, loc, scale = (x.double() for x in (distribution.df, distribution.loc, distribution.scale))
    standard = StudentT(df, torch.zeros_like(df), torch.ones_like(df))

    def primitives(t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        below = standard.cdf(t)
        bulk = (df + t.square()) * standard.log_prob(t).exp()
        return below, -bulk / (df - 1), (df * below - t * bulk) / (df - 2)

    first, second = _clip(primitives, loc, scale, low, high)
    return _mean_and_variance(first, second, low, high, distribution.df.dtype)


@singledispatch
def entropy_between(distribution: Distribution, low: float, high: float) -> Tensor:
    r"""Computes :math:`-\int p \log p` between two bounds, over the quantiles there.

    Of normal distributions and mixtures by panels around every component.

    Args:
        distribution: A distribution with a density, batch shape `[...]`.
        low: Lower bound.
        high: Upper bound.

    Returns:
        Nats, `[...]`.
    """
    like = distribution.mean
    ends = constant((low, high), like.dtype, like.device)
    levels, weights = levels_and_weights(like)
    shape = (-1, *(1,) * len(distribution.batch_shape))
    below, reached = (distribution.cdf(end.expand(distribution.batch_shape)) for end in ends)
    between = reached - below
    level = below + between * levels.view(shape)
    inside = (level > 0) & (level < 1)  # at 0 and 1 there is no finite gradient
    log_prob = distribution.log_prob(distribution.icdf(torch.where(inside, level, 0.5)))
    return -between * (weights.view(shape) * torch.where(inside, log_prob, 0.0)).sum(0)


@entropy_between.register
def _(distribution: Mixture, low: float, high: float) -> Tensor:
    return distribution.entropy_between(low, high)


@entropy_between.register
def _(distribution: Normal, low: float, high: float) -> Tensor:
    loc, scale = distribution.loc.unsqueeze(-1), distribution.scale.unsqueeze(-1)
    return Mixture(torch.zeros_like(loc), loc, scale).entropy_between(low, high)


def _of_normals(loc: Tensor, scale: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    return _clip(_normal_primitives, loc.double(), scale.double(), low, high)


def _normal_primitives(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The integrals of φ, zφ and z²φ from minus infinity on."""
    density = (-z.square() / 2).exp() / math.sqrt(2 * math.pi)
    below: Tensor = torch.special.ndtr(z)
    return below, -density, below - z * density


def _clip(
    primitives: Callable[[Tensor], tuple[Tensor, ...]],
    loc: Tensor,
    scale: Tensor,
    low: float,
    high: float,
) -> tuple[Tensor, Tensor]:
    """The first two moments of clipped values about the middle of the bounds, in float64."""
    half = (high - low) / 2
    loc = loc - (low + half)
    (mass_low, *lower), (mass_high, *upper) = (
        primitives((end - loc) / scale) for end in (-half, half)
    )
    inside = mass_high - mass_low
    one, two = (b - a for a, b in zip(lower, upper, strict=True))
    first = loc * inside + scale * one
    second = loc.square() * inside + 2 * loc * scale * one + scale.square() * two
    beyond = 1 - mass_high
    return first + half * (beyond - mass_low), second + half**2 * (beyond + mass_low)


def _mean_and_variance(
    first: Tensor, second: Tensor, low: float, high: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    variance = (second - first.square()).clamp_min(0)
    return ((low + high) / 2 + first).to(dtype), variance.to(dtype)
