"""Inverts distribution functions without closed inverse: bisection and the implicit gradient."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from components.distributions.precision import tiny

EXTRA_STEPS = 8  # roots may lie closer to zero than to the ends of the first bracket


@torch.no_grad()
def bisect(function: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Finds where a function that increases changes sign, to the resolution of the dtype.

    Every bracket is halved equally often, so no element waits for another and none can escape,
    however steep or flat the function is.

    Args:
        function: Maps positions `[...]` to values `[...]`, negative below the root.
        low: Lower ends of the brackets, `[...]`.
        high: Upper ends of the brackets, `[...]`; returned where the function is negative up to
            there.

    Returns:
        The roots `[...]`, without gradient.
    """
    low, high = low.detach(), high.detach()
    for _ in range(EXTRA_STEPS - round(math.log2(torch.finfo(low.dtype).eps))):
        middle = low + (high - low) / 2
        below = function(middle) < 0
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return low + (high - low) / 2


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
