"""The look that all pictures share: colour-blind-safe, quiet axes, one legend per figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

# Okabe & Ito, "Color Universal Design" (2008); every picture uses the three in the same roles.
PREDICTED = "#0072B2"  # blue: what we said
TRUTH = "#D55E00"  # vermilion: what happened
CONTEXT = "#4D4D4D"  # grey: what was known before

# For lines that are alike, from the same palette: the above two and those that white paper bears.
COLORS = (PREDICTED, TRUTH, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")


def looks(count: int) -> list[tuple[str, str]]:
    """Returns a color and a line style for each of `count` lines; styles change last."""
    size = len(COLORS)
    return [(COLORS[k % size], LINES[k // size % len(LINES)]) for k in range(count)]


def array(tensor: Tensor) -> NDArray[np.float64]:
    """Brings a tensor to where it can be drawn."""
    return tensor.detach().double().cpu().numpy()


def grid(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """Makes a figure with `count` panels, row by row.

    Args:
        count: Number of panels, at least 1.
        columns: Panels in a row, at most.
        width: Width of a panel in inches.
        height: Height of a panel in inches.

    Returns:
        The figure and its panels.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * width, rows * height + 0.6), layout="constrained")
    panels = [figure.add_subplot(rows, columns, k + 1) for k in range(count)]
    for axes in panels:
        quiet(axes)
    return figure, panels


def quiet(axes: Axes) -> None:
    """Takes away the lines and ticks that say nothing."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.locator_params(nbins=6)


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Says what a panel shows, and in which units."""
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)  # text may hold dollars
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)


def legend(figure: Figure, axes: Axes, columns: int = 6) -> None:
    """Puts the legend of one panel below all of them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )
