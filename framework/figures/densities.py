"""Draws predicted densities against true ones, where known, and against outcomes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import PREDICTED, TRUTH, array, grid, label, legend

UNITS = ("outcome (units of the data)", "density (per unit)")


def draw_densities(
    values: Tensor,
    predicted: Tensor,
    outcomes: Tensor,
    truth: Tensor | None = None,
    examples: int = 5,
) -> Figure:
    """Draws the densities of some examples, and their mean over all.

    Args:
        values: Equally spaced outcomes, `[G]`.
        predicted: Their predicted density for each example, `[N, G]`, per unit of the outcome.
        outcomes: What happened, `[N]`.
        truth: True density like `predicted`; None if unknown.
        examples: Number of single examples to draw.

    Returns:
        A figure of at most three panels in a row; the last shows the mean of all predictions and
            a histogram of all outcomes.
    """
    examples = min(examples, predicted.shape[0])
    figure, panels = grid(examples + 1, columns=3, width=3.6, height=2.5)
    for k, axes in enumerate(panels[:-1]):
        _curves(axes, values, predicted[k], None if truth is None else truth[k])
        axes.axvline(
            float(outcomes[k]), color="black", linewidth=1, linestyle=":", label="what happened"
        )
        label(axes, f"example {k + 1}", *UNITS)
    _all(panels[-1], values, predicted, outcomes, truth)
    label(panels[-1], f"mean of {outcomes.numel()} examples, outcomes in grey", *UNITS)
    for axes in panels:
        axes.set_ylim(bottom=0)
    legend(figure, panels[0])
    return figure


def _curves(axes: Axes, values: Tensor, predicted: Tensor, truth: Tensor | None) -> None:
    if truth is not None:
        axes.plot(
            array(values), array(truth), color=TRUTH, linewidth=2.2, alpha=0.8, label="truth"
        )
    axes.fill_between(array(values), array(predicted), color=PREDICTED, alpha=0.15, linewidth=0)
    axes.plot(array(values), array(predicted), color=PREDICTED, linewidth=1.4, label="predicted")


def _all(
    axes: Axes, values: Tensor, predicted: Tensor, outcomes: Tensor, truth: Tensor | None
) -> None:
    low, high = float(values[0]), float(values[-1])
    bins = int(np.clip(np.sqrt(outcomes.numel()), 5, 60))
    axes.hist(
        array(outcomes).clip(low, high), bins, range=(low, high), density=True, color="#BBBBBB"
    )
    _curves(axes, values, predicted.mean(0), None if truth is None else truth.mean(0))
