"""Total variation: how much probability two distributions place differently."""

from __future__ import annotations

from torch import Tensor


def total_variation(first: Tensor, second: Tensor) -> Tensor:
    r"""Measures the distance of two distributions over the same cells, from 0 to 1.

    .. math:: \tfrac12 \sum_k |p_k - q_k|

    The largest difference of the probabilities that the distributions give to any event made of
    cells. What masses lack to 1 lies in one more cell, beyond the others.

    Args:
        first: Masses of the cells, `[..., K]`, not negative; their sum is at most 1.
        second: Those of the other distribution, broadcastable.

    Returns:
        Distances, `[...]`.

    Source: Levin, Peres, Wilmer, "Markov Chains and Mixing Times", proposition 4.2.
    """
    beyond = (first.sum(-1) - second.sum(-1)).abs()
    return ((first - second).abs().sum(-1) + beyond) / 2
