"""PointHead: ordinary regression as a predictive distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from components.distributions.tensors import to_float32
from components.distributions.vectors import joint
from components.heads.parametric import SPREAD, real_interval
from components.interfaces import Head
from components.numbers import number
from components.supports import Support


class PointHead(Head):
    """Predicts one number per component: the mean of a normal distribution whose width is fixed.

    Trained with SquaredError it is least squares, the baseline for predicting a whole
    distribution; its likelihood is only meaningful where the width is.

    Args:
        dim: Width of the hidden states.
        support: What can be predicted: real values.
        std: Standard deviation of the distribution, in widths of the interval, positive; that of
            the uniform distribution if not given.
        unit: Unit of the output of the linear map, in units of the outcome, positive; half the
            interval if not given. Its origin is the middle of the interval.

    Raises:
        ValueError: If the support is one of tokens, or `std` or `unit` is not positive.
    """

    def __init__(
        self, dim: int, support: Support, std: float | None = None, unit: float | None = None
    ) -> None:
        super().__init__()
        std = SPREAD if std is None else number(std, "PointHead: std")
        unit = None if unit is None else number(unit, "PointHead: unit")
        if not 0 < std < math.inf:
            raise ValueError(f"PointHead: std={std} is not positive; a distribution has a width.")
        if unit is not None and not 0 < unit < math.inf:
            raise ValueError(f"PointHead: unit={unit} is not positive; use a positive one.")
        interval = real_interval(support, type(self).__name__)
        self.support = support
        half_width = (interval.high - interval.low) / 2
        self.unit = half_width if unit is None else unit
        self.middle = interval.low + half_width
        self.std = 2 * half_width * std
        self.projection: nn.Module = nn.Linear(dim, math.prod(support.shape))

    def forward(self, hidden: Tensor) -> Distribution:
        """Predicts from hidden states `[..., D]`: batch shape `[...]`."""
        shape = self.support.shape
        raw = self.projection(hidden)
        scaled = to_float32(raw.unflatten(-1, shape) if shape else raw.squeeze(-1))
        loc = self.middle + self.unit * scaled
        distribution = Normal(loc, torch.full_like(loc, self.std), validate_args=False)
        return joint(distribution, shape)
