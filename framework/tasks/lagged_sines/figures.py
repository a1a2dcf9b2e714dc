"""Draws outcomes along sequences, and what was predicted of each."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, PREDICTED, TRUTH, array, grid, label, legend

PANELS = 4  # sequences that a figure shows, at most


def draw_sequences(target: Tensor, mean: Tensor, task: Tensor) -> Figure:
    """Shows some sequences: what happened at each position, and the mean that was predicted.

    Args:
        target: What happened, `[B, T]`, in the units of the data.
        mean: Predicted means, `[B, T]`.
        task: Which positions are the task, `[B, T]` bool; others are beside it, drawn hollow.

    Returns:
        A figure of a panel for each of the first sequences.
    """
    count = min(PANELS, len(target))
    figure, panels = grid(count, columns=2, width=5.2, height=2.4)
    places = range(1, target.shape[1] + 1)
    for k, axes in enumerate(panels):
        happened, said, asked = array(target[k]), array(mean[k]), task[k].cpu().numpy()
        axes.vlines(places, happened, said, color=CONTEXT, linewidth=0.6, alpha=0.6)
        for shown, fill, name in ((asked, TRUTH, "task"), (~asked, "none", "beside the task")):
            axes.scatter(
                [n for n, there in zip(places, shown, strict=True) if there],
                happened[shown],
                s=18,
                facecolors=fill,
                edgecolors=TRUTH,
                linewidths=1.0,
                label=f"what happened, {name}",
            )
        axes.plot(places, said, "_", color=PREDICTED, markersize=7, label="predicted mean")
        label(axes, f"sequence {k + 1}", "position", "outcome (units of the data)")
    legend(figure, panels[0])
    return figure
