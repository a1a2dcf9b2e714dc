"""Draws how well a model knows each equation of a table of pairs, and where it never saw any."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from framework.figures.style import TRUTH, array, grid, label, legend


def draw_equations(probability: Tensor, corner: tuple[int, int], side: int, title: str) -> Figure:
    """Shows the probability of the right answer for every pair of numbers, and the hole.

    Args:
        probability: Probability of the right answer by first and second number, `[A, B]`.
        corner: The smallest first and second number of the hole.
        side: How many numbers the hole covers in each direction.
        title: What the equations are.

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
    label(axes, f"{title}: how likely the right answer is", "a (number)", "b (number)")
    legend(figure, axes)
    return figure
