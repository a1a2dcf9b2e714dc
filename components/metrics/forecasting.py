"""Metrics of forecasts, each as a numerator and a denominator per position.

Their sums may be taken over batches and ranks in any order; the metric is the ratio of the sums.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from components.data import SeriesBatch
from components.distributions.scores import pinball
from components.distributions.tensors import constant

LEVELS = tuple(k / 10 for k in range(1, 10))  # of the WQL, as in arXiv:2403.07815, section 5.3


class Ratio(NamedTuple):
    """A metric per position, before the division: `numerator.sum() / denominator.sum()`."""

    numerator: Tensor
    denominator: Tensor


def score(quantiles: Tensor, batch: SeriesBatch) -> dict[str, Ratio]:
    """Scores quantile forecasts.

    MASE is the mean over series of the mean scaled error of each, as `gluonts.evaluation` has it.
    `gluonts.ev`, with which Chronos is evaluated, takes the mean over all observed values, so that
    a series with missing ones counts less: that is `mase_pooled`. Both are equal where nothing is
    missing. Other than in either, a series whose past repeats itself exactly does not count; in
    `gluonts.evaluation` it makes the MASE infinite. WQL is that of both.

    Args:
        quantiles: Forecasts at `LEVELS`, `[B, H, 9]`.
        batch: What truly happened.

    Returns:
        Numerators and denominators, whose sums over all batches make the metric: `mase`, `[B]`;
        `mase_pooled`, `wql`, `mae` of the median in the series' own units, and `coverage_80` over
        all values, `[B, H]`.
    """
    weight, median = batch.weight, quantiles[..., len(LEVELS) // 2]
    target = torch.where(weight > 0, batch.target, 0.0)  # a missing one may be NaN
    levels = constant(LEVELS, quantiles.dtype, quantiles.device)
    scaled = absolute_scaled_error(median, target, batch.error, weight)
    counts = scaled.denominator.sum(1)
    return {
        "mase": Ratio(scaled.numerator.sum(1) / counts.clamp(min=1e-9), (counts > 0).float()),
        "mase_pooled": scaled,
        "wql": weighted_quantile_loss(quantiles, target, weight, levels),
        "mae": Ratio((target - median).abs() * weight, weight),
        "coverage_80": coverage(quantiles[..., 0], quantiles[..., -1], target, weight),
    }


def weighted_quantile_loss(
    quantiles: Tensor, target: Tensor, weight: Tensor, levels: Tensor
) -> Ratio:
    r"""Scores quantile forecasts relative to the size of what is forecast (WQL).

    .. math:: \frac{2 \sum_t \text{mean}_\tau \text{pinball}_\tau(q_t, y_t)}{\sum_t |y_t|}

    The sums run over the observed values of all series together. This is the
    `mean_weighted_sum_quantile_loss` of `gluonts.ev`, and the `mean_wQuantileLoss` of
    `gluonts.evaluation`. Quantiles of samples may differ: here they are interpolated between
    samples, while gluonts takes the nearest sample.

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
    The ratio of the sums over all positions is the mean over observed values, the MASE of
    `gluonts.ev`; for the mean over series, average each one first, as `score` does.

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
