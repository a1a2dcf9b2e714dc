"""Draws outcomes along sequences, and the predicted means."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, PREDICTED, TRUTH, array, grid, label, legend

PANELS = 4  # sequences that a figure shows, at most


def draw_sequences(target: Tensor, mean: Tensor, task: Tensor) -> Figure:
    """Draws some sequences: outcome and predicted mean at each position.

    Args:
        target: Outcomes, `[B, T]`, in the units of the data.
        mean: Predicted means, `[B, T]`.
        task: Which positions belong to the task, `[B, T]` bool; others are drawn hollow.

    Returns:
        A figure of a panel for each of the first sequences.
    """
    count = min(PANELS, len(target))
    figure, panels = grid(count, columns=2, width=5.2, height=2.4)
    positions = range(1, target.shape[1] + 1)
    for k, axes in enumerate(panels):
        outcome, predicted, marked = array(target[k]), array(mean[k]), task[k].cpu().numpy()
        axes.vlines(positions, outcome, predicted, color=CONTEXT, linewidth=0.6, alpha=0.6)
        for shown, fill, name in ((marked, TRUTH, "task"), (~marked, "none", "other")):
            axes.scatter(
                [n for n, there in zip(positions, shown, strict=True) if there],
                outcome[shown],
                s=18,
                facecolors=fill,
                edgecolors=TRUTH,
                linewidths=1.0,
                label=f"outcome ({name})",
            )
        axes.plot(positions, predicted, "_", color=PREDICTED, markersize=7, label="predicted mean")
        label(axes, f"sequence {k + 1}", "position", "outcome (units of the data)")
    legend(figure, panels[0])
    return figure
