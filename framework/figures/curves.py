"""Draws learning curves: a metric against the steps, mean and deviation over seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framework.figures.style import grid, label, legend, looks, sample_deviation

SPAN = 100.0  # largest ratio of values on a linear axis


class LoggedValue(NamedTuple):
    """One value that a run logged."""

    variant: str  # what was run
    seed: int
    metric: str
    step: int  # optimizer steps that were taken
    value: float


def draw_curves(points: Sequence[LoggedValue]) -> Figure:
    """Draws learning curves: a panel per metric, a line per variant, faint lines for its seeds.

    The band is one standard deviation of a sample over the seeds to either side of their mean.
    Values that span more than two powers of ten, such as errors, get a logarithmic axis.

    Args:
        points: What was logged, at least one value.
    """
    metrics = list(dict.fromkeys(point.metric for point in points))
    variants = list(dict.fromkeys(point.variant for point in points))
    figure, panels = grid(len(metrics), columns=2, width=6.4, height=4.2)
    for axes, metric in zip(panels, metrics, strict=True):
        for variant, (color, line) in zip(variants, looks(len(variants)), strict=True):
            mine = [p for p in points if (p.variant, p.metric) == (variant, metric)]
            _curve(axes, mine, variant, color, line)
        label(axes, metric, "optimizer steps", metric)
        values = [point.value for point in points if point.metric == metric]
        if 0 < SPAN * min(values) < max(values):
            axes.set_yscale("log")
    legend(figure, panels[0], columns=4)
    return figure


def _curve(axes: Axes, points: Sequence[LoggedValue], name: str, color: str, line: str) -> None:
    runs: dict[int, list[tuple[int, float]]] = {}
    by_step: dict[int, list[float]] = {}
    for point in points:
        runs.setdefault(point.seed, []).append((point.step, point.value))
        by_step.setdefault(point.step, []).append(point.value)
    if len(runs) > 1:
        for run in runs.values():
            axes.plot(*zip(*sorted(run), strict=True), color=color, linewidth=0.5, alpha=0.3)
    steps = sorted(by_step)
    mean = [statistics.fmean(by_step[step]) for step in steps]
    std = [sample_deviation(by_step[step]) for step in steps]
    low = [m - s for m, s in zip(mean, std, strict=True)]
    high = [m + s for m, s in zip(mean, std, strict=True)]
    axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(steps, mean, color=color, linestyle=line, linewidth=1.4, label=name)
