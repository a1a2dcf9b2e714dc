"""Draws what variants reach seed by seed, and how much they differ from one of them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framework.figures.style import CONTEXT, grid, label, legend, looks

HEIGHT = 0.45  # of a variant, in inches
SPREAD = 0.5  # of a row, over which its seeds are spread


class SeedValues(NamedTuple):
    """A variant: a value for each seed, and its differences from a reference."""

    name: str
    values: Mapping[int, float]
    differences: Mapping[int, float]  # none of the reference itself
    half_width: float  # half the interval of the mean difference, nan if there is none


def draw_seeds(variants: Sequence[SeedValues], metric: str, reference: str) -> Figure:
    """Draws every seed as a point, of one color in all rows; bars are means, lines intervals.

    Args:
        variants: The rows, from the top.
        metric: What the values are.
        reference: What the differences are from.
    """
    figure, (left, right) = grid(2, columns=2, width=5.2, height=1.4 + HEIGHT * len(variants))
    seeds = sorted({seed for variant in variants for seed in variant.values})
    for row, variant in enumerate(variants):
        _row(left, row, variant.values, seeds)
        _row(right, row, variant.differences, seeds)
        if variant.differences and not math.isnan(variant.half_width):
            middle = statistics.fmean(variant.differences.values())
            right.errorbar(middle, row, xerr=variant.half_width, color="black", capsize=3)
    right.axvline(0, color=CONTEXT, linewidth=0.8, linestyle=":")
    for axes, names in ((left, [variant.name for variant in variants]), (right, [])):
        axes.set_yticks(range(len(variants)), names or [""] * len(variants))
        axes.set_ylim(len(variants) - 0.5, -0.5)
    label(left, f"{metric}, every seed and the mean", metric, "")
    label(
        right, f"less that of {reference}, with the 95 % interval", f"difference in {metric}", ""
    )
    for seed, (color, _) in zip(seeds, looks(len(seeds)), strict=True):
        left.plot([], [], "o", color=color, markersize=5, label=f"seed {seed}")
    legend(figure, left)
    return figure


def _row(axes: Axes, row: int, values: Mapping[int, float], seeds: Sequence[int]) -> None:
    """Draws the seeds of a variant, a little above each other, and their mean."""
    for place, (seed, (color, _)) in enumerate(zip(seeds, looks(len(seeds)), strict=True)):
        if seed in values:
            height = row + SPREAD * ((place + 0.5) / len(seeds) - 0.5)
            axes.plot(values[seed], height, "o", color=color, markersize=5)
    if values:
        middle = statistics.fmean(values.values())
        axes.plot([middle, middle], [row - 0.35, row + 0.35], color="black", linewidth=1.5)
