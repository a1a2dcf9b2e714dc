"""Figures of answers: by pair of numbers, and by the lengths of both."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from framework.figures.style import TRUTH, array, grid, label, legend

DARK = 0.6  # accuracy from which on a number is written in white


def draw_equations(probability: Tensor, corner: tuple[int, int], side: int, title: str) -> Figure:
    """Draws the probability of the correct answer for every pair of numbers, and the hole.

    Args:
        probability: Probability of the correct answer by first and second number, `[A, B]`.
        corner: The smallest first and second number of the hole.
        side: How many numbers the hole covers in each direction.
        title: Formula of the equations.

    Returns:
        A figure of one panel.
    """
    figure, [axes] = grid(1, columns=1, width=5.2, height=4.2)
    first, second = probability.shape
    image = axes.imshow(
        array(probability).T,
        extent=(-0.5, first - 0.5, -0.5, second - 0.5),
        origin="lower",
        cmap="Blues",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    left, bottom = corner
    axes.add_patch(
        Rectangle(
            (left - 0.5, bottom - 0.5),
            side,
            side,
            fill=False,
            edgecolor=TRUTH,
            linewidth=1.6,
            label="left out of training",
        )
    )
    bar = figure.colorbar(image, ax=axes, pad=0.02)
    bar.set_label("probability", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    label(axes, f"{title}: probability of the correct answer", "a (number)", "b (number)")
    legend(figure, axes)
    return figure


def draw_cells(accuracy: Tensor, title: str) -> Figure:
    """Draws the accuracy for every pair of lengths, as a color and as a number.

    Args:
        accuracy: Accuracy by digits of the first number, from 1, and of the second, `[A, B]`.
        title: Title of the figure.

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
