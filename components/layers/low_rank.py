"""LowRankLinear: a frozen linear map and a trained addition of low rank."""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn.functional import linear


class LowRankLinear(nn.Module):
    r"""Adds a product of two narrow matrices to a linear map, which is no longer trained.

    .. math:: y = W x + b + \frac{\alpha}{r} B A x

    B starts at zero, so that the map starts as it was. Names of its parameters stay: `weight` and
    `bias` beside `low` (A) and `high` (B).

    Args:
        base: The linear map.
        rank: Rank r of the addition.
        alpha: Scale; the addition is multiplied by alpha / r.

    Source: Hu et al., "LoRA" (arXiv:2106.09685), section 4.1.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.weight, self.bias = base.weight, base.bias
        self.in_features, self.out_features = base.in_features, base.out_features
        self.scale = alpha / rank
        self.low = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.high = nn.Parameter(base.weight.new_empty(base.out_features, rank))
        self.reset_addition()

    def reset_addition(self) -> None:
        """Draws A as torch draws a linear map, and sets B to zero."""
        nn.init.kaiming_uniform_(self.low, a=math.sqrt(5))
        nn.init.zeros_(self.high)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps `[..., in]` to `[..., out]`."""
        added = linear(linear(inputs, self.low), self.high)
        return linear(inputs, self.weight, self.bias) + self.scale * added

    def extra_repr(self) -> str:
        """Describes the sizes."""
        return f"{self.in_features}, {self.out_features}, rank={len(self.low)}"


def merge(weight: Tensor, low: Tensor, high: Tensor, scale: float) -> Tensor:
    """Returns the matrix `[out, in]` that maps as a `LowRankLinear` does, of the same type.

    Args:
        weight: The frozen matrix, `[out, in]`.
        low: A, `[r, in]`.
        high: B, `[out, r]`.
        scale: Factor of the addition.
    """
    return (weight.float() + scale * high.float() @ low.float()).to(weight.dtype)
