"""Draws the action distribution of a policy over an episode, beside the recorded actions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from framework.figures.style import PREDICTED, TRUTH, array, grid, label, legend

GROUPS = 24  # most bars of the histogram of a batch


class Actions(NamedTuple):
    """Predicted and recorded actions at N steps: A components with K values each."""

    probabilities: Tensor  # [A, N, K]
    taken: Tensor  # [A, N]


def draw_actions(
    time: Tensor, values: Tensor, window: Actions, batch: Actions, unit: str
) -> Figure:
    """Draws, per component of the action, its distribution over time and that of a whole batch.

    Args:
        time: Steps within the episode of the N steps of `window`, `[N]`.
        values: The K actions, or the centers of K bins of their range, increasing, `[K]`.
        window: Consecutive steps of one episode.
        batch: All steps of a batch.
        unit: Unit of an action.

    Returns:
        A figure with two panels per component.
    """
    components = len(window.taken)
    figure, panels = grid(2 * components, columns=2, width=5.2, height=2.6)
    centers = array(values)
    for k in range(components):
        name = f"action ({unit})" if components == 1 else f"action {k} ({unit})"
        left, right = panels[2 * k : 2 * k + 2]
        _over_time(figure, left, array(time), centers, Actions(*(x[k] for x in window)))
        label(
            left, "one window: predicted, and taken (circles)", "time (steps of the episode)", name
        )
        _histogram(right, centers, Actions(*(x[k] for x in batch)))
        label(right, "the whole batch", name, "fraction of the steps")
    legend(figure, panels[1])
    return figure


def _over_time(
    figure: Figure, axes: Axes, time: np.ndarray, centers: np.ndarray, window: Actions
) -> None:
    distribution = array(window.probabilities)
    mesh = axes.pcolormesh(_edges(time), _edges(centers), distribution.T, cmap="Blues", vmin=0)
    axes.scatter(
        time,
        array(window.taken),
        s=14,
        facecolor="none",
        edgecolor=TRUTH,
        linewidth=1.1,
        clip_on=False,
    )
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    bar = figure.colorbar(mesh, ax=axes, pad=0.01)
    bar.set_label("probability", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _histogram(axes: Axes, centers: np.ndarray, batch: Actions) -> None:
    edges = _edges(centers)
    if len(centers) > GROUPS:  # groups of bins, so that both histograms have the same edges
        group = -(-len(centers) // GROUPS)
        edges = np.append(edges[:-1:group], edges[-1])
    taken = array(batch.taken).clip(edges[0], edges[-1])
    fraction = np.histogram(taken, edges)[0] / max(1, len(taken))
    distribution = np.histogram(centers, edges, weights=array(batch.probabilities).mean(0))[0]
    axes.stairs(fraction, edges, fill=True, color=TRUTH, alpha=0.35, label="taken")
    axes.stairs(distribution, edges, color=PREDICTED, linewidth=1.6, label="predicted (mean)")


def _edges(centers: np.ndarray) -> np.ndarray:
    """Returns bin edges halfway between neighboring centers."""
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    middle = (centers[1:] + centers[:-1]) / 2
    return np.concatenate([[2 * centers[0] - middle[0]], middle, [2 * centers[-1] - middle[-1]]])
