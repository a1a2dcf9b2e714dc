"""Draws how many equations are right, by the numbers of digits on both sides."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import array, grid, label

DARK = 0.6  # share from which on a number is written in white


def draw_cells(accuracy: Tensor, title: str) -> Figure:
    """Shows the share of right answers for every pair of lengths, as color and as a number.

    Args:
        accuracy: Share by digits of the first number, from 1 on, and of the second, `[A, B]`.
        title: What is shown.

    Returns:
        A figure of one panel.
    """
    first, second = accuracy.shape
    side = 0.5 * max(first, second) + 2
    figure, [axes] = grid(1, columns=1, width=side + 1, height=side)
    values = array(accuracy)
    extent = (0.5, first + 0.5, 0.5, second + 0.5)
    axes.imshow(values.T, extent=extent, origin="lower", cmap="Blues", vmin=0, vmax=1)
    for a in range(first):
        for b in range(second):
            color = "white" if values[a, b] > DARK else "black"
            axes.text(
                a + 1, b + 1, f"{values[a, b]:.2f}", ha="center", va="center", color=color, size=8
            )
    axes.set_xticks(range(1, first + 1))
    axes.set_yticks(range(1, second + 1))
    label(axes, title, "digits of a", "digits of b")
    return figure
