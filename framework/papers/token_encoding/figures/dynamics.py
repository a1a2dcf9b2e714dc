"""Draws how well a read-out encodes quantities over the steps of training, with the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import ScalarFormatter

from framework.figures.style import CONTEXT, grid, label, legend, looks

FLOOR = -0.1  # lowest R² that is shown


def draw_dynamics(
    steps: Sequence[int], scores: Mapping[str, Sequence[float]], losses: Sequence[float]
) -> Figure:
    """Shows explained variance and the loss against the logarithm of the step.

    Args:
        steps: When it was measured, N optimizer steps; 0 stands at the left edge.
        scores: R² of each quantity, N numbers by name.
        losses: Mean loss of the same contexts, N numbers in nats.
    """
    figure, (axes,) = grid(1, columns=1, width=6.4, height=4.0)
    for (name, values), (color, line) in zip(scores.items(), looks(len(scores)), strict=True):
        axes.plot(steps, values, "o", linestyle=line, color=color, markersize=3, label=name)
    axes.set_xscale("symlog", linthresh=1, linscale=0.3, base=2)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.set_xlim(left=0)
    axes.set_ylim(FLOOR, 1.05)
    axes.axhline(0, color=CONTEXT, linewidth=0.6)
    label(axes, "What rows of tokens encode", "optimizer steps", "R²")
    twin = axes.twinx()
    twin.plot(steps, losses, ":", color=CONTEXT, linewidth=1.4)
    axes.plot([], [], ":", color=CONTEXT, linewidth=1.4, label="loss")  # for the one legend
    twin.spines["top"].set_visible(False)
    twin.tick_params(labelsize=8)
    label(twin, "", "", "loss (nats)")
    legend(figure, axes, columns=3)
    return figure
