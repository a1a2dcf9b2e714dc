"""Quantiles without a closed form, their gradients, and integrals over quantiles."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.distributions.tensors import tiny, unless_nan

EXTRA_STEPS = 8  # roots may lie closer to zero than to the ends of the first bracket
POINTS = 255
REACH = 14.0  # in log-odds: leaves a mass of 1e-6 beyond, which float32 still resolves


@torch.no_grad()
def bisect(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Finds where a function that increases changes sign, to the resolution of the dtype.

    Every bracket is halved equally often, which converges however steep or flat the function is.

    Args:
        function: Maps positions `[...]` to values `[...]`, negative below the root.
        low: Lower ends of the brackets, `[...]`.
        high: Upper ends of the brackets, `[...]`; returned where the function is negative up to
            them.

    Returns:
        The roots `[...]`, without gradient; NaN where the function is NaN.
    """
    low, high = low.detach(), high.detach()
    for _ in range(EXTRA_STEPS - round(math.log2(torch.finfo(low.dtype).eps))):
        middle = low + (high - low) / 2
        value = function(middle)
        below = value < 0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return unless_nan(value, low + (high - low) / 2)


def implicit(root: Tensor, residual: Tensor, slope: Tensor) -> Tensor:
    r"""Gives a root the gradient that it has by the implicit function theorem.

    .. math:: F(x; \theta) = u \quad\Rightarrow\quad dx = (du - \partial_\theta F d\theta) / F'(x)

    Args:
        root: Where the residual vanishes, `[...]`; its own gradient is ignored.
        residual: F - u at the root held fixed, with gradients to u and to the parameters of F,
            `[...]`.
        slope: F' at the root, the density, `[...]`.

    Returns:
        The values of `root`, with the gradient of the solution (once differentiable).
    """
    slope = slope.detach().clamp_min(math.sqrt(tiny(slope)))
    return root.detach() - (residual - residual.detach()) / slope


def levels_and_weights(like: Tensor) -> tuple[Tensor, Tensor]:
    """Lays out levels u of quantiles, dense at both ends, and weights that integrate over u.

    The trapezoidal rule in log(u/(1 - u)) converges exponentially for smooth distributions on the
    line.

    Args:
        like: A tensor whose dtype and device the results take.

    Returns:
        Levels between 0 and 1 and weights of sum 1, each `[255]`.
    """
    log_odds = torch.linspace(-REACH, REACH, POINTS, dtype=like.dtype, device=like.device)
    levels = log_odds.sigmoid()
    weights = levels * (-log_odds).sigmoid()
    return levels, weights / weights.sum()


def quantiles(distribution: Distribution, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Evaluates the quantiles of a distribution at those levels.

    Returns:
        Quantiles `[255, ...]`, and levels and weights of a shape that broadcasts with them.
    """
    levels, weights = levels_and_weights(like)
    shape = (POINTS, *(1,) * len(distribution.batch_shape))
    levels, weights = levels.view(shape), weights.view(shape)
    return distribution.icdf(levels.expand(POINTS, *distribution.batch_shape)), levels, weights
