"""Draws forecasts of several series as fans, with the past and the actual future."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, PREDICTED, TRUTH, array, grid, label, legend


def draw_forecasts(
    past: Tensor,
    observed: Tensor,
    target: Tensor,
    weight: Tensor,
    quantiles: Tensor,
    levels: Sequence[float],
) -> Figure:
    """Draws one panel per series; the darker the fan, the more likely.

    Args:
        past: Past values `[N, C]`, in the units of the series.
        observed: Which of them are known, `[N, C]` bool.
        target: Actual future, `[N, H]`.
        weight: 0 where the future is unknown, `[N, H]`.
        quantiles: Forecast quantiles `[N, H, Q]`.
        levels: Their Q levels, increasing and symmetric about one half.

    Returns:
        A figure of at most two panels in a row.
    """
    figure, panels = grid(past.shape[0], columns=2, width=5.2, height=2.6)
    horizon = target.shape[1]
    shown = min(past.shape[1], 4 * horizon)
    steps = np.arange(1, horizon + 1)
    for k, axes in enumerate(panels):
        known = np.where(array(observed[k]) > 0, array(past[k]), np.nan)[-shown:]
        came = np.where(array(weight[k]) > 0, array(target[k]), np.nan)
        axes.axvline(0.5, color=CONTEXT, linewidth=0.8, linestyle=":")
        axes.plot(np.arange(1 - shown, 1), known, color=CONTEXT, linewidth=1, label="past")
        _fan(axes, steps, array(quantiles[k]), levels)
        axes.plot(
            steps, came, color=TRUTH, linewidth=1.4, marker="o", markersize=3, label="what came"
        )
        time = "time (steps after the last known value)"
        label(axes, f"series {k + 1} of the batch", time, "value (units of the series)")
    legend(figure, panels[0])
    return figure


def _fan(axes: Axes, steps: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> None:
    pairs = len(levels) // 2
    for k in range(pairs):
        mass = levels[-1 - k] - levels[k]
        name = f"{mass:.0%} interval" if k in (0, pairs - 1) else None
        axes.fill_between(
            steps,
            quantiles[:, k],
            quantiles[:, -1 - k],
            color=PREDICTED,
            alpha=0.14 + 0.14 * k / max(1, pairs - 1),
            linewidth=0,
            label=name,
        )
    if len(levels) % 2:
        axes.plot(steps, quantiles[:, pairs], color=PREDICTED, linewidth=1.6, label="median")
