"""Draws edits: by what averaged probabilities were to be multiplied, and by what they were."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, grid, label, legend, looks

Points = tuple[Tensor, Tensor]
"""Scales that were asked for and scales that came, `[P]` each, both positive."""

Rule = tuple[str, bool]
"""A direction, and whether shifts along it are calibrated."""


def draw_edits(panels: Mapping[str, Mapping[Rule, Points]]) -> Figure:
    """Shows scales against what was asked for: their medians, and the middle half of them.

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
        for rule, (asked, actual) in edits.items():
            _draw(axes, rule, colors[rule[0]], asked, actual)
        ends = [float(end) for asked, _ in edits.values() for end in asked.aminmax()]
        axes.axline((min(ends), min(ends)), (1, 1), color=CONTEXT, linewidth=0.8)
        label(axes, name, "scale that was asked for", "scale that came")
    legend(figure, every[0], columns=4)
    return figure


def _draw(axes: Axes, rule: Rule, color: str, asked: Tensor, actual: Tensor) -> None:
    direction, calibrated = rule
    scales = sorted(set(asked.tolist()))
    groups = [actual[asked == scale] for scale in scales]
    low, middle, high = (
        [float(group.quantile(share)) for group in groups] for share in (0.25, 0.5, 0.75)
    )
    line = "" if len(asked) == len(scales) else "--" if calibrated else "-"  # one token a scale
    marker = "x" if calibrated else "o"
    name = f"{direction}, calibrated" if calibrated else direction
    axes.fill_between(scales, low, high, color=color, alpha=0.1, linewidth=0)
    axes.plot(scales, middle, marker=marker, color=color, linestyle=line, markersize=4, label=name)
