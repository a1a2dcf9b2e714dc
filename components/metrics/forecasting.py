"""Metrics of forecasts, each as a numerator and a denominator per position.

Their sums may be taken over batches and ranks in any order; the metric is the ratio of the sums.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from components.distributions.scores import pinball


class Ratio(NamedTuple):
    """A metric per position, before the division: `numerator.sum() / denominator.sum()`."""

    numerator: Tensor
    denominator: Tensor


def weighted_quantile_loss(
    quantiles: Tensor, target: Tensor, weight: Tensor, levels: Tensor
) -> Ratio:
    r"""Scores quantile forecasts relative to the size of what is forecast (WQL).

    .. math:: \frac{2 \sum_t \text{mean}_\tau \text{pinball}_\tau(q_t, y_t)}{\sum_t |y_t|}

    Args:
        quantiles: Predicted quantiles, `[..., Q]`.
        target: What happened, `[...]`.
        weight: How much each position counts, `[...]`; 0 where the target is missing.
        levels: Levels of the quantiles, `[Q]`.

    Returns:
        Numerator and denominator, `[...]`.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 5.3.
    """
    losses = pinball(quantiles, target.unsqueeze(-1), levels).mean(-1)
    return Ratio(2 * losses * weight, target.abs() * weight)


def absolute_scaled_error(
    forecast: Tensor, target: Tensor, error: Tensor, weight: Tensor
) -> Ratio:
    """Scores point forecasts relative to the seasonal naive forecast of the past (MASE).

    A series that the naive forecast hits exactly has no scale to compare with and does not count.

    Args:
        forecast: Point forecasts, `[B, T]`: medians, which the absolute error asks for.
        target: What happened, `[B, T]`.
        error: Mean absolute error of the seasonal naive forecast within the past, `[B, 1]`.
        weight: How much each position counts, `[B, T]`; 0 where the target is missing.

    Returns:
        Numerator and denominator, `[B, T]`.

    Source: Hyndman & Koehler, "Another look at measures of forecast accuracy" (2006), section 3.
    """
    counts = weight * (error > 0)
    scaled = (target - forecast).abs() / torch.where(error > 0, error, 1.0)
    return Ratio(scaled * counts, counts)


def coverage(low: Tensor, high: Tensor, target: Tensor, weight: Tensor) -> Ratio:
    """Counts how often the outcome lies within a predicted interval, bounds included.

    Args:
        low: Lower bounds, `[...]`.
        high: Upper bounds, `[...]`.
        target: What happened, `[...]`.
        weight: How much each position counts, `[...]`.

    Returns:
        Numerator and denominator, `[...]`.
    """
    return Ratio(((low <= target) & (target <= high)) * weight, weight)
