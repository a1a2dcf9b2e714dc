r"""Proper scores: the continuous ranked probability score, and the pinball loss of a quantile.

Closed forms of the former are written as :math:`E|X - y| - \int F (1 - F)`, of which the second
term is half the mean distance of two independent draws.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.distributions.atoms import WithAtoms
from components.distributions.categorical import Discrete
from components.distributions.censored import Censored
from components.distributions.dispatch import functional
from components.distributions.fourier import EvenFourierDensity, FourierDensity
from components.distributions.fourier.polynomial import angles
from components.distributions.histogram import Histogram
from components.distributions.inversion import levels_and_weights, quantiles
from components.distributions.mixture import Mixture
from components.distributions.quantiles import Quantiles
from components.distributions.student import StudentT
from components.distributions.tensors import within


def pinball(quantile: Tensor, target: Tensor, level: Tensor | float) -> Tensor:
    r"""Computes the pinball loss, which the quantile of a level minimizes in expectation.

    .. math:: \max(\tau (y - q), (\tau - 1)(y - q))

    Args:
        quantile: Predicted quantiles, any shape.
        target: What happened, broadcastable to it, in the same units.
        level: The probability that y lies below q, between 0 and 1, broadcastable.

    Returns:
        The loss, in the units of the target.
    """
    difference = target - quantile
    return torch.maximum(level * difference, (level - 1) * difference)


@functional(lambda value, affine: value * affine.scale)
def crps(distribution: Distribution, target: Tensor) -> Tensor:
    r"""Computes :math:`\int (F(x) - [x \ge y])^2 dx`, in units of the outcome.

    A target beyond a bounded distribution's support is scored at its distance, not at the bound.
    Of a vector, the components' scores are added. Distributions that are not registered are
    integrated over their quantiles.

    Args:
        distribution: A distribution of real values, or of numbered outcomes, of batch shape
            `[...]`.
        target: What happened, y, `[...]` and the event shape.

    Returns:
        Scores `[...]`, at least 0; small is good.

    Source: Gneiting and Raftery, "Strictly Proper Scoring Rules" (2007), section 4.2; for the
        normal and t distributions Jordan et al., "Evaluating Probabilistic Forecasts with
        scoringRules" (arXiv:1709.04743), appendix A; for mixtures Grimit et al. (2006), equation
        5.
    """
    x, levels, weights = (
        each.view(len(each), *(1,) * (target.ndim + 1 - each.ndim), *each.shape[1:])
        for each in quantiles(distribution, target)
    )
    loss = ((x > target).to(x.dtype) - levels) * (x - target)
    return 2 * (weights * loss).sum(0)


@crps.register
def _(distribution: Discrete, target: Tensor) -> Tensor:
    index, inside = within(target, distribution.size, type(distribution).__name__)
    below = distribution.probs.cumsum(-1)
    outcomes = torch.arange(distribution.size, device=below.device)
    happened = (outcomes >= index.unsqueeze(-1)).to(below.dtype)
    score = (below - happened).square().sum(-1)
    return score if inside is None else torch.where(inside, score, torch.nan)


@crps.register
def _(distribution: Histogram, target: Tensor) -> Tensor:
    return _stepwise(
        distribution.cells.probs,
        distribution.edges,
        distribution.cells.probs.cumsum(-1),
        target,
    )


@crps.register
def _(distribution: Quantiles, target: Tensor) -> Tensor:
    values, levels = distribution.values, distribution.levels
    inner = _stepwise(distribution.masses, values, levels[1:], target)
    beyond = zip(
        distribution.tails,
        distribution.decays,
        (values[..., 0] - target, target - values[..., -1]),
        strict=True,
    )
    for mass, decay, distance in beyond:
        away = distance.clamp_min(0)
        # the mean of |E - distance| for an exponential E
        mean = distance.abs() + decay * torch.where(
            distance > 0, 2 * torch.exp(-away / decay) - 1, 1.0
        )
        inner = inner + mass * mean - decay * (mass - mass.square() / 2)
    return inner


@crps.register
def _(distribution: FourierDensity, target: Tensor) -> Tensor:
    inside = target.clamp(distribution.low, distribution.high)
    score = distribution.unit_width * _fourier(distribution, distribution.unit(inside))
    return score + (target - inside).abs()


@crps.register
def _(distribution: EvenFourierDensity, target: Tensor) -> Tensor:
    r"""The distribution function is :math:`z + 2 \sum c_k \sin(\pi k z) / (\pi k)`."""
    inside = target.clamp(distribution.low, distribution.high)
    z, c = distribution.unit(inside), distribution.correlations.real
    k = math.pi * torch.arange(1, distribution.terms, dtype=z.dtype, device=z.device)
    cosine = angles(z, distribution.terms)[..., 1:].cos()
    waves = ((c.square() / 2 - c * cosine) / k.square()).sum(-1)
    score = z.square() - z + 1 / 3 + 4 * waves
    return distribution.unit_width * score + (target - inside).abs()


@crps.register
def _(distribution: WithAtoms, target: Tensor) -> Tensor:
    """Distances between draws of the base cancel, but for those within its own score."""
    atoms, masses = distribution.atoms, distribution.atom_masses
    column = atoms.view(-1, *(1,) * len(distribution.batch_shape))
    of_atoms = crps(distribution.base, column.expand(-1, *distribution.batch_shape))
    near = (masses * (atoms - target.unsqueeze(-1)).abs()).sum(-1)
    apart = (atoms.unsqueeze(-1) - atoms).abs()
    pairs = (masses.unsqueeze(-1) * masses.unsqueeze(-2) * apart).sum((-2, -1)) / 2
    between = crps(distribution.base, target) - (masses * of_atoms.movedim(0, -1)).sum(-1)
    return distribution.weight * between + near - pairs


@crps.register
def _(distribution: Censored, target: Tensor) -> Tensor:
    """Over the levels of both bounds in closed form, over those between by quadrature.

    The integrand bends at the level of the target, where the quadrature is cut in two.
    """
    low, high = distribution.low, distribution.high
    inside = target.clamp(low, high)
    below, above = distribution.atom_masses.unbind(-1)
    level = distribution.base.cdf(inside)
    score = below.square() * (inside - low) + above.square() * (high - inside)
    for first, last, short in ((below, level, 1.0), (level, 1 - above, 0.0)):
        score = score + _between(distribution, first, last, inside, short)
    return score + (target - inside).abs()


def _between(
    distribution: Censored, first: Tensor, last: Tensor, target: Tensor, short: float
) -> Tensor:
    """Integrates twice the pinball loss over levels from `first` to `last`."""
    levels, weights = (
        each.view(-1, *(1,) * target.ndim) for each in levels_and_weights(target.to(last.dtype))
    )
    level = first + (last - first) * levels
    x = distribution.icdf(level)
    loss = (short * level + (1 - short) * (1 - level)) * (target - x).abs()
    return 2 * (last - first) * (weights * loss).sum(0)


@crps.register
def _(distribution: Normal, target: Tensor) -> Tensor:
    z = (target - distribution.loc) / distribution.scale
    return distribution.scale * (_mean_distance(z, torch.ones_like(z)) - 1 / math.sqrt(math.pi))


@crps.register
def _(distribution: Mixture, target: Tensor) -> Tensor:
    loc, scale, weights = distribution.loc, distribution.scale, distribution.weights
    near = (weights * _mean_distance(target.unsqueeze(-1) - loc, scale)).sum(-1)
    apart = loc.unsqueeze(-1) - loc.unsqueeze(-2)
    spread = (scale.square().unsqueeze(-1) + scale.square().unsqueeze(-2)).sqrt()
    pairs = weights.unsqueeze(-1) * weights.unsqueeze(-2) * _mean_distance(apart, spread)
    return near - pairs.sum((-2, -1)) / 2


@crps.register
def _(distribution: StudentT, target: Tensor) -> Tensor:
    """Infinite where the distribution has no mean."""
    df, scale = distribution.df, distribution.scale
    z = (target - distribution.loc) / scale
    density = (distribution.log_prob(target) + scale.log()).exp()
    half = df.double() / 2
    log_ratio = (
        2 * (torch.lgamma(half + 0.5) - torch.lgamma(half))
        + torch.lgamma(2 * half - 0.5)
        - torch.lgamma(2 * half)
    )
    beta_ratio = log_ratio.exp().to(df.dtype) / math.sqrt(math.pi)
    near = z * (2 * distribution.cdf(target) - 1) + 2 * density * (df + z.square()) / (df - 1)
    score = near - 2 * df.sqrt() / (df - 1) * beta_ratio
    return scale * torch.where(df > 1, score, math.inf)


def _mean_distance(distance: Tensor, scale: Tensor) -> Tensor:
    """The mean of |X| for a normal X."""
    z = distance / scale
    within = (-z.square() / 2).exp() * math.sqrt(2 / math.pi)
    return scale * within + distance * torch.erf(z / math.sqrt(2))


def _stepwise(masses: Tensor, edges: Tensor, above: Tensor, target: Tensor) -> Tensor:
    """The part of cells `[..., K]` with uniform masses; `above` is F at their upper edges."""
    y = target.unsqueeze(-1)
    left, right = edges[..., :-1], edges[..., 1:]
    width = (right - left).clamp_min(torch.finfo(masses.dtype).eps ** 2)
    inside = torch.minimum(torch.maximum(y, left), right)
    distance = ((inside - left).square() + (right - inside).square()) / (2 * width)
    near = (masses * (distance + (y - inside).abs())).sum(-1)
    below = above - masses
    middle = (above + below) / 2
    square = (above.square() + above * below + below.square()) / 3
    return near - (width * (middle - square)).sum(-1)


def _fourier(distribution: FourierDensity, z: Tensor) -> Tensor:
    r"""The score over [-1, 1]: :math:`F = z/2 + c + \Re \sum g_k e^{i \pi k z}/(i \pi k)`."""
    g = distribution.correlations
    k = math.pi * torch.arange(1, distribution.terms, dtype=z.dtype, device=z.device)
    sign = 1 - 2 * (torch.arange(1, distribution.terms, device=z.device) % 2)
    angle = angles(z, distribution.terms)[..., 1:]
    mean = (2 * sign * g.imag / k).sum(-1)
    constant = (1 - mean) / 2
    waves = g.real * (angle.cos() - sign) - g.imag * angle.sin()
    area = (z.square() - 1) / 4 + constant * (z + 1) - (waves / k.square()).sum(-1)
    power = torch.view_as_real(g).square().sum(-1) - 2 * sign * g.real
    square = 1 / 6 + 2 * constant.square() + (power / k.square()).sum(-1)
    return 2 * area - z + mean - (2 * constant - square)
