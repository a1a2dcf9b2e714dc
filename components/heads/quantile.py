"""The quantile head: a distribution given by some of its quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import softplus

from components.distributions import Quantiles
from components.distributions.tensors import constant
from components.heads.parametric import FLOOR, ParametricHead, inverse_softplus
from components.numbers import numbers
from components.supports import Support

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


class QuantileHead(ParametricHead):
    """Predicts quantiles that never cross: the lowest, and positive steps from each to the next.

    Initially they are those of the uniform distribution on the interval. Train it with `Pinball`
    at the same levels, or with `NegativeLogLikelihood`.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        levels: Probabilities below the quantiles, increasing, at least two between 0 and 1.

    Raises:
        ValueError: If the support is one of tokens, or the levels do not increase between 0 and 1.
    """

    def __init__(self, dim: int, support: Support, levels: Sequence[float] = DECILES) -> None:
        levels = numbers(levels, "QuantileHead: levels")
        bounds = (0.0, *levels, 1.0)
        if len(levels) < 2 or any(not a < b for a, b in pairwise(bounds)):
            raise ValueError(
                f"QuantileHead: levels={list(levels)}; it needs two or more, increasing, "
                "between 0 and 1."
            )
        steps = (b - a for a, b in pairwise(levels))
        super().__init__(dim, support, (levels[0], *map(inverse_softplus, steps)))
        self.levels = levels

    def distribution(self, raw: Tensor) -> Distribution:
        """Reads the lowest quantile and the steps."""
        steps = softplus(raw[..., 1:]) + FLOOR
        values = torch.cat((raw[..., :1], steps), -1).cumsum(-1)
        return Quantiles(self.location(values), constant(self.levels, raw.dtype, raw.device))
