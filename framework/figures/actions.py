"""Draws what a policy would do over an episode, beside what was done."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from framework.figures.style import PREDICTED, TRUTH, array, grid, label, legend

GROUPS = 24  # as many groups of actions as a histogram of a batch can fill


class Actions(NamedTuple):
    """What was predicted and taken at N steps, by component A of the action and its K values."""

    probabilities: Tensor  # [A, N, K]
    taken: Tensor  # [A, N]


def draw_actions(
    time: Tensor, values: Tensor, window: Actions, batch: Actions, unit: str
) -> Figure:
    """Shows, per component of the action, its distribution over time and that of a whole batch.

    Args:
        time: Steps within the episode of the N steps of `window`, `[N]`.
        values: The K actions, or the centres of K cells of their range, increasing, `[K]`.
        window: Consecutive steps of one episode.
        batch: All steps of a batch.
        unit: What an action is measured in.

    Returns:
        A figure with two panels per component.
    """
    components = len(window.taken)
    figure, panels = grid(2 * components, columns=2, width=5.2, height=2.6)
    centres = array(values)
    for k in range(components):
        name = f"action ({unit})" if components == 1 else f"action {k} ({unit})"
        left, right = panels[2 * k : 2 * k + 2]
        _over_time(figure, left, array(time), centres, Actions(*(x[k] for x in window)))
        label(
            left, "one window: predicted, and taken (circles)", "time (steps of the episode)", name
        )
        _shares(right, centres, Actions(*(x[k] for x in batch)))
        label(right, "the whole batch", name, "share of the steps")
    legend(figure, panels[1])
    return figure


def _over_time(
    figure: Figure, axes: Axes, time: np.ndarray, centres: np.ndarray, window: Actions
) -> None:
    distribution = array(window.probabilities)
    mesh = axes.pcolormesh(_borders(time), _borders(centres), distribution.T, cmap="Blues", vmin=0)
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


def _shares(axes: Axes, centres: np.ndarray, batch: Actions) -> None:
    edges = _borders(centres)
    if len(centres) > GROUPS:  # equal groups of cells, so that both curves see the same borders
        group = -(-len(centres) // GROUPS)
        edges = np.append(edges[:-1:group], edges[-1])
    taken = array(batch.taken).clip(edges[0], edges[-1])
    share = np.histogram(taken, edges)[0] / max(1, len(taken))
    distribution = np.histogram(centres, edges, weights=array(batch.probabilities).mean(0))[0]
    axes.stairs(share, edges, fill=True, color=TRUTH, alpha=0.35, label="taken")
    axes.stairs(distribution, edges, color=PREDICTED, linewidth=1.6, label="predicted (mean)")


def _borders(centres: np.ndarray) -> np.ndarray:
    """Finds the borders halfway between neighboring centres."""
    if len(centres) == 1:
        return np.array([centres[0] - 0.5, centres[0] + 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])
