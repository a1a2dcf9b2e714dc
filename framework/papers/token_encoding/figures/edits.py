"""Draws edits: by what averaged probabilities were to be multiplied, and by what they were."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, grid, label, legend, looks

Points = tuple[Tensor, Tensor]
"""Requested and actual scales, `[P]` each, both positive."""

Rule = tuple[str, bool]
"""A direction, and whether shifts along it are calibrated."""


def draw_edits(panels: Mapping[str, Mapping[Rule, Points]]) -> Figure:
    """Shows actual against requested scales: medians, and the middle half.

    Args:
        panels: For each panel, the edits by rule: a color for each direction, dashed lines for
            what is calibrated.
    """
    figure, every = grid(len(panels), columns=3, width=4.4, height=4.0)
    for axes, (name, edits) in zip(every, panels.items(), strict=True):
        directions = list(dict.fromkeys(direction for direction, _ in edits))
        colors = {
            d: color for d, (color, _) in zip(directions, looks(len(directions)), strict=True)
        }
        axes.set_xscale("log")
        axes.set_yscale("log")
        for rule, (requested, actual) in edits.items():
            _draw(axes, rule, colors[rule[0]], requested, actual)
        ends = [float(end) for requested, _ in edits.values() for end in requested.aminmax()]
        axes.axline((min(ends), min(ends)), (1, 1), color=CONTEXT, linewidth=0.8)
        label(axes, name, "requested scale", "actual scale")
    legend(figure, every[0], columns=4)
    return figure


def _draw(axes: Axes, rule: Rule, color: str, requested: Tensor, actual: Tensor) -> None:
    direction, calibrated = rule
    scales = sorted(set(requested.tolist()))
    groups = [actual[requested == scale] for scale in scales]
    low, middle, high = (
        [float(group.quantile(share)) for group in groups] for share in (0.25, 0.5, 0.75)
    )
    single = len(requested) == len(scales)  # one token per scale
    line = "" if single else "--" if calibrated else "-"
    marker = "x" if calibrated else "o"
    name = f"{direction}, calibrated" if calibrated else direction
    axes.fill_between(scales, low, high, color=color, alpha=0.1, linewidth=0)
    axes.plot(scales, middle, marker=marker, color=color, linestyle=line, markersize=4, label=name)
