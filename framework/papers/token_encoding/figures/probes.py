"""Draws how a read-out encodes the probabilities of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from framework.figures.style import CONTEXT, PREDICTED, TRUTH, array, grid, label

CELLS = 60  # hexagons side by side
DOTS = 20_000  # that a scatter shows, at most: more cover each other


def draw_fits(fits: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """Shows targets against their linear prediction from the rows, and where both are equal.

    Args:
        fits: Target and prediction `[N]` of tokens by what the target is, "-log alpha" for
            example; tokens whose target is `nan` are left out.
    """
    figure, panels = grid(len(fits), columns=3, width=4.6, height=3.8)
    for axes, (name, (target, predicted)) in zip(panels, fits.items(), strict=True):
        known = target.isfinite() & predicted.isfinite()
        if known.any():
            x, y = array(predicted[known]), array(target[known])
            cells = axes.hexbin(x, y, gridsize=CELLS, bins="log", cmap="viridis", mincnt=1)
            figure.colorbar(cells, ax=axes, label="tokens")
            middle = float(y.mean())
            axes.axline((middle, middle), slope=1, color=TRUTH, linewidth=1)
        label(axes, name, "linear in the row, fitted (nats)", f"{name} (nats)")
    return figure


def draw_saliency(saliency: Tensor, shares: Mapping[int, float] | None = None) -> Figure:
    """Shows the saliency of each dimension, and R² of the k most salient ones.

    Args:
        saliency: Slope times standard deviation of each dimension, `[D]`; the sign is ignored.
        shares: Adjusted R² of a fit of the largest k dimensions, by k.
    """
    figure, panels = grid(1 + bool(shares), columns=2, width=4.8, height=3.4)
    largest = array(saliency.abs().sort(descending=True).values)
    panels[0].plot(range(1, len(largest) + 1), largest, ".-", color=PREDICTED, markersize=3)
    panels[0].set_ylim(bottom=0)
    label(panels[0], "Dimensions by what they carry", "rank", "|A| · sd of the column (nats)")
    if shares:
        panels[1].plot(list(shares), list(shares.values()), "o-", color=PREDICTED, markersize=4)
        panels[1].set_xscale("log", base=2)
        panels[1].set_ylim(min(0.0, *shares.values()), 1.02)
        label(panels[1], "The largest k dimensions alone", "k", "adjusted R²")
    return figure


def draw_components(scores: Tensor, shares: Sequence[float], alpha: Tensor) -> Figure:
    """Shows tokens along the first principal components of their rows, colored by probability.

    Args:
        scores: Of the first two components, `[V, 2]`.
        shares: Of the variance, that each of them has.
        alpha: Averaged probability of the tokens, `[V]`; the color is its percentile.
    """
    figure, (axes,) = grid(1, columns=1, width=5.6, height=4.4)
    percentile = 100 * alpha.argsort().argsort().double() / max(1, len(alpha) - 1)
    shown = torch.linspace(0, len(alpha) - 1, min(DOTS, len(alpha))).long()
    x, y = array(scores.cpu()[shown]).T
    color = array(percentile.cpu()[shown])
    dots = axes.scatter(x, y, c=color, s=4, cmap="viridis", linewidths=0)
    figure.colorbar(dots, ax=axes, label="percentile of alpha")
    first, second = (f"component {k + 1} ({100 * share:.0f} %)" for k, share in enumerate(shares))
    label(axes, "Rows of the read-out", first, second)
    return figure


def draw_contexts(cosines: Mapping[int, float]) -> Figure:
    """Shows how many contexts the slope needs.

    Args:
        cosines: Of the slope from n contexts and that from all, by n.
    """
    figure, (axes,) = grid(1, columns=1, width=4.8, height=3.4)
    axes.plot(list(cosines), list(cosines.values()), "o-", color=PREDICTED, markersize=4)
    axes.axhline(1, color=CONTEXT, linewidth=0.6)
    axes.set_xscale("log", base=2)
    axes.set_ylim(min(0.0, *cosines.values()), 1.05)
    label(axes, "Slope from few contexts", "contexts", "cosine with that from all")
    return figure
