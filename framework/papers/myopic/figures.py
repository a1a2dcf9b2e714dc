"""Draws the analyses of this paper: probes, losses by position, parts of gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, array, grid, label, legend, looks
from framework.papers.myopic.gradients import GradientParts


def draw_probes(names: Sequence[str], r2: Tensor) -> Figure:
    """Draws how well linear probes read quantities from hidden states: a line per layer.

    Args:
        names: The quantities, K of them, such as the lags of one.
        r2: Fraction of the variance that a linear probe explains, `[L + 1, K]`; layer 0 is the
            embedding.
    """
    figure, (axes,) = grid(1, columns=1, width=max(5.0, 0.5 * len(names) + 2.5), height=3.6)
    ticks = range(len(names))
    for layer, (row, (color, line)) in enumerate(zip(array(r2), looks(len(r2)), strict=True)):
        axes.plot(ticks, row, "o", linestyle=line, color=color, markersize=4, label=_layer(layer))
    axes.axhline(0, color=CONTEXT, linewidth=0.6)
    axes.set_xticks(ticks, names, rotation=30, ha="right", fontsize=7, parse_math=False)
    axes.set_ylim(min(-0.05, 1.1 * float(r2.nan_to_num(0).clamp(min=-1).min())), 1.05)
    label(axes, "Linear probes of hidden states", "", "R² on other sequences")
    legend(figure, axes)
    return figure


def draw_positions(
    losses: Mapping[str, Tensor], gaps: Mapping[str, tuple[Tensor, Tensor]]
) -> Figure:
    """Draws losses along the window, and how much they exceed those of another model.

    Args:
        losses: Mean loss of each model at each position, `[T]`, by name.
        gaps: Differences and their standard errors, `[T]` each, by the names of both models;
            empty if there is only one model.
    """
    figure, panels = grid(1 + bool(gaps), columns=2, width=5.6, height=3.6)
    for (name, loss), (color, line) in zip(losses.items(), looks(len(losses)), strict=True):
        panels[0].plot(_positions(loss), array(loss), color=color, linestyle=line, label=name)
    label(panels[0], "Loss by position", "position", "mean loss")
    others = zip(gaps.values(), looks(len(losses))[1:], strict=False)
    for (gap, error), (color, line) in others:
        middle, half = array(gap), array(error)
        panels[1].fill_between(
            _positions(gap), middle - half, middle + half, color=color, alpha=0.2, linewidth=0
        )
        panels[1].plot(_positions(gap), middle, color=color, linestyle=line)
    if gaps:
        panels[1].axhline(0, color=CONTEXT, linewidth=0.6)
        title = f"Difference from {next(iter(losses))}, ± standard error"
        label(panels[1], title, "position", "difference of losses")
    legend(figure, panels[0], columns=4)
    return figure


def draw_gradients(
    xs: Sequence[float] | Sequence[str], parts: Sequence[GradientParts], x: str
) -> Figure:
    """Draws norms of the parts of gradients, and their cosine.

    Args:
        xs: Horizontal position of each gradient: steps of a run, or names of blocks.
        parts: The gradients, as many.
        x: Label of the horizontal axis.
    """
    figure, (sizes, angles) = grid(2, columns=2, width=5.0, height=3.4)
    names = ("total", "myopic", "future")
    for name, (color, line) in zip(names, looks(len(names)), strict=True):
        values = [getattr(each, name) for each in parts]
        sizes.plot(xs, values, "o", linestyle=line, color=color, markersize=3, label=name)
    sizes.set_ylim(bottom=0)
    label(sizes, "Norm of the gradient and of its parts", x, "norm")
    angles.plot(xs, [each.cosine for each in parts], "o-", color=CONTEXT, markersize=3)
    angles.axhline(0, color=CONTEXT, linewidth=0.6)
    angles.set_ylim(-1.05, 1.05)
    label(angles, "Angle between present and future", x, "cosine of myopic and future part")
    legend(figure, sizes)
    return figure


def _positions(values: Tensor) -> range:
    return range(1, len(values) + 1)


def _layer(number: int) -> str:
    return f"layer {number}" if number else "embedding"
