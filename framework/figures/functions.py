"""Draws the predicted outcome as a function of a single feature."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, PREDICTED, TRUTH, array, grid, label, legend


def draw_function(
    x: Tensor,
    mean: Tensor,
    std: Tensor,
    features: Tensor,
    outcomes: Tensor,
    truth: Tensor | None = None,
) -> Figure:
    """Draws predicted means and outcomes, and how the prediction continues beyond the examples.

    Args:
        x: Features to predict from, increasing, `[G]`.
        mean: Predicted means, `[G]`.
        std: Predicted standard deviations, `[G]`.
        features: Features of examples, `[N]`.
        outcomes: Their outcomes, `[N]`.
        truth: True means like `mean`; None if unknown.
    """
    figure, (axes,) = grid(1, columns=1, width=9.0, height=2.8)
    if truth is not None:
        axes.plot(array(x), array(truth), color=TRUTH, linewidth=2.2, alpha=0.8, label="truth")
    low, high = array(mean - std), array(mean + std)
    axes.fill_between(array(x), low, high, color=PREDICTED, alpha=0.12, linewidth=0, label="± std")
    axes.plot(array(x), array(mean), color=PREDICTED, linewidth=1.2, label="predicted")
    axes.plot(array(features), array(outcomes), ".", color=CONTEXT, markersize=2, label="examples")
    label(axes, f"{outcomes.numel()} examples", "feature", "outcome (units of the data)")
    legend(figure, axes)
    return figure
