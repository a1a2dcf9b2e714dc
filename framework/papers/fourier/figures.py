"""Draws the toy experiments: distributions against the truth, and metrics against frequencies."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framework.figures.style import (
    CONTEXT,
    PREDICTED,
    TRUTH,
    grid,
    label,
    legend,
    sample_deviation,
)
from framework.papers.fourier.groups import ExampleDensities
from framework.studies.results import Published, Result

FOURIER = re.compile(r"fourier-(\d+)$")
LINES = {"linear": "--", "mixture": ":"}  # line styles of the heads to compare with


def draw_distributions(
    densities: Mapping[str, ExampleDensities], problem: str, training: str
) -> Figure:
    """Draws what heads predict for some test points of a problem: a row per head.

    Of the Fourier heads those with the fewest, the middle and the largest number of frequencies.

    Args:
        densities: Densities by variant, `problem/training/head`; of at most four test points.
        problem: The problem.
        training: The way of training.
    """
    prefix = f"{problem}/{training}/"
    named = {
        name.removeprefix(prefix): x for name, x in densities.items() if name.startswith(prefix)
    }
    series = [head for head in named if FOURIER.match(head)]
    some = {head for k, head in enumerate(series) if k in (0, len(series) // 2, len(series) - 1)}
    shown = {head: x for head, x in named.items() if head in some or head not in series}
    columns = min(4, *(len(each.predicted) for each in shown.values()))
    figure, panels = grid(len(shown) * columns, columns, width=2.6, height=1.8)
    for row, (head, (values, predicted, truth)) in enumerate(shown.items()):
        for k, axes in enumerate(panels[row * columns : (row + 1) * columns]):
            axes.plot(values, truth[k], color=TRUTH, linewidth=2.2, label="truth")
            axes.plot(values, predicted[k], color=PREDICTED, label="predicted")
            axes.set_ylim(bottom=0)
            label(axes, f"{head}, example {k + 1}", "outcome", "density (per unit)")
    legend(figure, panels[0])
    return figure


def draw_frequencies(
    results: Sequence[Result],
    published: Published,
    problems: Sequence[str],
    training: str,
    metrics: Sequence[tuple[str, str]] = (("kl_cells", "KL (nats)"), ("smoothness", "smoothness")),
) -> Figure:
    """Draws metrics against the number of frequencies: mean and deviation over seeds.

    Args:
        results: Results; variants are named `problem/training/head`.
        published: Numbers of the paper by variant and metric, as it states them.
        problems: The problems, one per column.
        training: The way of training.
        metrics: Names of metrics and their labels, one per row; those that no head has are left
            out.
    """
    chosen = [r for r in results if r.variant.split("/")[1] == training]
    metrics = [each for each in metrics if each[0] in {result.metric for result in chosen}]
    figure, panels = grid(len(metrics) * len(problems), len(problems), width=3.6, height=2.6)
    contents = [(name, problem) for name in metrics for problem in problems]
    for axes, ((metric, title), problem) in zip(panels, contents, strict=True):
        prefix = f"{problem}/{training}/"
        mine = [r for r in chosen if r.metric == metric and r.variant.startswith(prefix)]
        _ours(axes, mine, prefix)
        _theirs(axes, published, metric, prefix)
        axes.set_ylim(bottom=0)
        label(axes, problem.replace("_", " "), "frequencies", title)
    legend(figure, panels[0])
    return figure


def _ours(axes: Axes, results: Sequence[Result], prefix: str) -> None:
    by_head: dict[str, list[float]] = {}
    for result in results:
        by_head.setdefault(result.variant.removeprefix(prefix), []).append(result.value)
    means = {head: statistics.fmean(values) for head, values in by_head.items()}
    spreads = {head: sample_deviation(values) for head, values in by_head.items()}
    series = {int(found[1]): head for head in by_head if (found := FOURIER.match(head))}
    x = sorted(series)
    middle = np.array([means[series[n]] for n in x])
    half = np.array([spreads[series[n]] for n in x])
    axes.fill_between(x, middle - half, middle + half, color=PREDICTED, alpha=0.2, linewidth=0)
    axes.plot(x, middle, color=PREDICTED, label="Fourier, ours ± std")
    for head, line in LINES.items():
        if head in means:
            axes.axhline(means[head], color=CONTEXT, linewidth=1, linestyle=line, label=head)


def _theirs(axes: Axes, published: Published, metric: str, prefix: str) -> None:
    points = {}
    for variant, numbers in published.items():
        found = FOURIER.match(variant.removeprefix(prefix))
        if found and metric in numbers:
            points[int(found[1])] = float(numbers[metric].split()[0])
    axes.plot(
        list(points), list(points.values()), "o", color=TRUTH, markersize=4, label="published"
    )
