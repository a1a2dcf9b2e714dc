"""Draws a result against the size of the model: one line per kind of model."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from framework.figures.style import grid, label, legend, looks, sample_deviation

Pairs = Sequence[tuple[float, float]]
"""Size and result of the runs of a model, one per seed."""


def draw_scaling(kinds: Mapping[str, Sequence[Pairs]], x: str, y: str) -> Figure:
    """Draws means and deviations over seeds, and every run as a faint point.

    Args:
        kinds: For each line, the models on it.
        x: Name of the size, which is positive, on a logarithmic axis.
        y: Name of the result.
    """
    figure, (axes,) = grid(1, columns=1, width=6.4, height=4.2)
    axes.set_xscale("log")
    for (kind, models), (color, line) in zip(kinds.items(), looks(len(kinds)), strict=True):
        sizes, means, deviations = zip(*sorted(map(_middle, models)), strict=True)
        for runs in models:
            axes.plot(*zip(*runs, strict=True), "o", color=color, markersize=3, alpha=0.3)
        axes.errorbar(sizes, means, deviations, color=color, linestyle=line, capsize=2, label=kind)
    label(axes, f"{y} against {x}", x, y)
    legend(figure, axes, columns=4)
    return figure


def _middle(runs: Pairs) -> tuple[float, float, float]:
    """Returns mean size, mean result and deviation of the results of a model."""
    sizes, results = zip(*runs, strict=True)
    return statistics.fmean(sizes), statistics.fmean(results), sample_deviation(results)
