"""The style of all pictures: colors for the color-blind, few lines, one legend per figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

# Okabe & Ito, "Color Universal Design" (2008); every picture uses the three in the same roles.
PREDICTED = "#0072B2"  # blue: predictions
TRUTH = "#D55E00"  # vermilion: what happened
CONTEXT = "#4D4D4D"  # gray: what was known before

# For lines of one kind, from the same palette: the two above and those that are visible on white.
COLORS = (PREDICTED, TRUTH, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", ":", "-.")


def looks(count: int) -> list[tuple[str, str]]:
    """Returns a color and a line style for each of `count` lines; styles change last."""
    size = len(COLORS)
    return [(COLORS[k % size], LINES[k // size % len(LINES)]) for k in range(count)]


def sample_deviation(values: Sequence[float]) -> float:
    """Computes the standard deviation of a sample (n - 1); 0 of one value, which has no band."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def array(tensor: Tensor) -> NDArray[np.float64]:
    """Converts a tensor to a NumPy array on the CPU."""
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
    """Removes spines and ticks that carry no information."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.locator_params(nbins=6)


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Sets the title of a panel and the labels of its axes."""
    axes.set_title(title, loc="left", fontsize=9, parse_math=False)  # text may hold dollars
    axes.set_xlabel(x, fontsize=8)
    axes.set_ylabel(y, fontsize=8)


def legend(figure: Figure, axes: Axes, columns: int = 6) -> None:
    """Puts the legend of one panel below all panels."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
    )


def pixels(figure: Figure, dpi: int) -> NDArray[np.uint8]:
    """Renders a figure as bytes `[height, width, 3]`, without global state.

    Args:
        figure: The figure.
        dpi: Dots per inch.
    """
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]
