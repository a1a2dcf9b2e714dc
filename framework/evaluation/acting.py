"""Ways to choose an action from its distribution.

Each function takes the distribution of the next action, batch shape `[B]`, and uniform draws from
[0, 1), one per component `[B, *support.shape]`, and returns actions of the shape of the draws.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from components.supports import Support, Tokens

EDGE = 1e-6  # distance from 0 and 1, where quantiles may be infinite

Act = Literal["sample", "mode", "mean"]


def sample(distribution: Any, uniform: Tensor, support: Support) -> Tensor:
    """Draws by inversion of the cumulative distribution, from the given uniform draws."""
    uniform = uniform.clamp(EDGE, 1 - EDGE)
    match support:
        case Tokens(size=size):
            passed: Tensor = distribution.probs.cumsum(-1) <= uniform.unsqueeze(-1)
            return passed.sum(-1).clamp(max=size - 1)
        case _:
            drawn: Tensor = marginals(distribution, support).icdf(uniform)
            return drawn


def mode(distribution: Any, uniform: Tensor, support: Support) -> Tensor:
    """Takes the most likely action."""
    best: Tensor = distribution.mode
    return best


def mean(distribution: Any, uniform: Tensor, support: Support) -> Tensor:
    """Takes the mean action.

    Raises:
        ValueError: If actions are choices.
    """
    match support:
        case Tokens(size=size):
            raise ValueError(
                f"DecisionModel cannot average {size} choices with act=mean; use sample or mode."
            )
        case _:
            average: Tensor = distribution.mean
            return average


ACTS = {"sample": sample, "mode": mode, "mean": mean}
"""The ways to act by their names in configuration."""


def marginals(distribution: Any, support: Support) -> Any:
    """Returns the distributions of single components of an outcome, `[..., *support.shape]`."""
    return distribution.base_dist if support.shape else distribution
