"""Draws edits: by what averaged probabilities were to be multiplied, and by what they were."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, array, grid, label, legend, looks

Points = tuple[Tensor, Tensor]
"""Scales that were asked for and scales that came, `[P]` each, both positive."""


def draw_edits(panels: Mapping[str, Mapping[str, Points]]) -> Figure:
    """Shows scales against what was asked for: their medians, and the middle half of them.

    Args:
        panels: For each panel, the edits by rule.
    """
    figure, every = grid(len(panels), columns=3, width=4.2, height=3.9)
    for axes, (name, edits) in zip(every, panels.items(), strict=True):
        axes.set_xscale("log")
        axes.set_yscale("log")
        for (rule, (asked, actual)), look in zip(edits.items(), looks(len(edits)), strict=True):
            color, line = look
            scales = sorted(set(asked.tolist()))
            groups = [actual[asked == scale] for scale in scales]
            middle = [array(group.quantile(0.5)) for group in groups]
            low = [array(group.quantile(0.25)) for group in groups]
            high = [array(group.quantile(0.75)) for group in groups]
            axes.fill_between(scales, low, high, color=color, alpha=0.12, linewidth=0)
            axes.plot(scales, middle, "o", color=color, linestyle=line, markersize=3, label=rule)
        ends = sorted(x for asked, _ in edits.values() for x in asked.tolist())
        axes.plot(ends[:: len(ends) - 1 or 1], ends[:: len(ends) - 1 or 1], color=CONTEXT, lw=0.8)
        label(axes, name, "scale that was asked for", "scale that came")
    legend(figure, every[0], columns=4)
    return figure
