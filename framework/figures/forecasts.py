"""Draws forecasts of several series as fans, with the past and, where known, the actual future."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from framework.figures.style import CONTEXT, PREDICTED, TRUTH, array, grid, label, legend


class Fan(NamedTuple):
    """A series and its forecast; times are numbers or dates."""

    title: str
    past_times: NDArray[Any]  # [C]
    past: NDArray[np.float64]  # [C], in the units of the series; NaN where unknown
    times: NDArray[Any]  # [H]
    quantiles: NDArray[np.float64]  # [H, Q]
    target: NDArray[np.float64] | None = None  # [H], the actual future; NaN where unknown


def draw_forecasts(
    past: Tensor,
    observed: Tensor,
    target: Tensor,
    weight: Tensor,
    quantiles: Tensor,
    levels: Sequence[float],
    titles: Sequence[str] = (),
) -> Figure:
    """Draws the forecasts of a batch, one panel per series.

    Args:
        past: Past values `[N, C]`, in the units of the series.
        observed: Which of them are known, `[N, C]` bool.
        target: Actual future, `[N, H]`.
        weight: 0 where the future is unknown, `[N, H]`.
        quantiles: Forecast quantiles `[N, H, Q]`.
        levels: Their Q levels, increasing.
        titles: Names of the N series; their numbers if not given.

    Returns:
        A figure of at most two panels in a row.
    """
    horizon = target.shape[1]
    shown = min(past.shape[1], 4 * horizon)
    known = np.where(array(observed) > 0, array(past), np.nan)[:, -shown:]
    came = np.where(array(weight) > 0, array(target), np.nan)
    before, after = np.arange(1 - shown, 1), np.arange(1, horizon + 1)
    names = titles or [f"series {k + 1} of the batch" for k in range(len(known))]
    fans = [
        Fan(name, before, known[k], after, array(quantiles[k]), came[k])
        for k, name in enumerate(names)
    ]
    return draw_fans(fans, levels, "time (steps after the last known value)")


def draw_fans(fans: Sequence[Fan], levels: Sequence[float], time: str) -> Figure:
    """Draws one panel per series; the darker the fan, the more likely.

    Args:
        fans: The series, at least one.
        levels: Levels of the quantiles, increasing.
        time: Label of the time axis.

    Returns:
        A figure of at most two panels in a row.
    """
    figure, panels = grid(len(fans), columns=2, width=5.2, height=2.6)
    for fan, axes in zip(fans, panels, strict=True):
        now = fan.past_times[-1] + (fan.times[0] - fan.past_times[-1]) / 2
        axes.axvline(now, color=CONTEXT, linewidth=0.8, linestyle=":")
        axes.plot(fan.past_times, fan.past, color=CONTEXT, linewidth=1, label="past")
        _fan(axes, fan.times, fan.quantiles, levels)
        if fan.target is not None:
            (line,) = axes.plot(fan.times, fan.target, color=TRUTH, label="what came")
            line.set(linewidth=1.4, marker="o", markersize=3)
        if fan.times.dtype.kind == "M":
            locator = AutoDateLocator(minticks=3, maxticks=6)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        label(axes, fan.title, time, "value (units of the series)")
    legend(figure, panels[0])
    return figure


def _fan(
    axes: Axes, times: NDArray[Any], quantiles: NDArray[np.float64], levels: Sequence[float]
) -> None:
    """Fills between pairs of quantiles from outside to inside, and draws the middle one."""
    pairs = len(levels) // 2
    for k in range(pairs):
        mass = levels[-1 - k] - levels[k]
        name = f"{mass:.0%} interval" if k in (0, pairs - 1) else None
        axes.fill_between(
            times,
            quantiles[:, k],
            quantiles[:, -1 - k],
            color=PREDICTED,
            alpha=0.14 + 0.14 * k / max(1, pairs - 1),
            linewidth=0,
            label=name,
        )
    if len(levels) % 2:
        middle = levels[pairs]
        name = "median" if middle == 0.5 else f"quantile {middle:g}"
        axes.plot(times, quantiles[:, pairs], color=PREDICTED, linewidth=1.6, label=name)
