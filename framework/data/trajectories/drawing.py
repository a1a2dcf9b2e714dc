"""Drawing: actions that are drawn by their costs, from distributions that are then known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def boltzmann(costs: Floats, temperature: float) -> Floats:
    r"""Turns costs of choices into the probabilities of a player that prefers cheap ones.

    .. math:: p_k = \frac{e^{-c_k / T}}{\sum_j e^{-c_j / T}}

    Choices of similar cost are similarly likely, which heads that know an order can use where
    costs change little from one choice to the next.

    Args:
        costs: The costs c, `[..., K]`.
        temperature: The temperature T in the unit of the costs, not negative; at 0 the first
            cheapest choice is certain.

    Returns:
        Probabilities, `[..., K]`.

    Example:
        >>> boltzmann(np.array([0.0, np.log(3.0)]), temperature=1.0).round(6).tolist()
        [0.75, 0.25]
    """
    if temperature == 0:
        certain: Floats = np.eye(costs.shape[-1])[costs.argmin(-1)]
        return certain
    weights = np.exp(-(costs - costs.min(-1, keepdims=True)) / temperature)
    probabilities: Floats = weights / weights.sum(-1, keepdims=True)
    return probabilities


def draw(probabilities: Floats, random: np.random.Generator) -> int:
    """Draws the number of a choice by inversion of the summed probabilities `[K]`.

    It takes one draw of the generator, and never a choice of probability 0.
    """
    sums = probabilities.cumsum()
    below = min(sums[-1] * random.random(), np.nextafter(sums[-1], 0))  # a product is rounded
    return int(np.searchsorted(sums, below, side="right"))
