"""Draws what deleted dimensions cost: a line for each order, zeros and means side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from framework.figures.style import CONTEXT, grid, label, legend, looks

FLOOR = 1e-5  # nats, below which costs are drawn no more
PERCENT = 100

Curves = Mapping[str, Sequence[float]]
"""Values at each share of deleted dimensions, by the name of an order."""


def draw_pruning(
    fractions: Sequence[float],
    costs: Mapping[str, Curves],
    agreement: Mapping[str, Curves],
    controls: Sequence[str],
    claim: float,
) -> Figure:
    """Shows KL divergences and how often the most likely token stays, a column a way to delete.

    Args:
        fractions: Shares of deleted dimensions.
        costs: KL divergences in nats, by the way to delete.
        agreement: Shares of contexts in which the most likely token stays, by the same ways.
        controls: The orders that are random; they look alike.
        claim: Share of dimensions that is said to go without effect.
    """
    figure, panels = grid(2 * len(costs), columns=len(costs), width=4.8, height=3.3)
    shares = [PERCENT * fraction for fraction in fractions]
    for axes, (way, curves) in zip(panels, costs.items(), strict=False):
        _lines(axes, shares, curves, controls)
        axes.set_yscale("log", nonpositive="mask")  # nothing deleted costs nothing
        axes.set_ylim(bottom=FLOOR)
        label(axes, f"Cost, {way}", "deleted, %", "KL, nats")
    for axes, (way, curves) in zip(panels[len(costs) :], agreement.items(), strict=True):
        _lines(axes, shares, curves, controls)
        axes.set_ylim(0, 1.03)
        label(axes, f"Most likely token, {way}", "deleted, %", "share that stays")
    said = f"{claim:.0%}, which the paper claims to be free"
    for axes in panels:
        axes.axvline(PERCENT * claim, color=CONTEXT, linewidth=0.8, linestyle=":", label=said)
    legend(figure, panels[0], columns=5)
    return figure


def _lines(axes: Axes, shares: Sequence[float], curves: Curves, controls: Sequence[str]) -> None:
    named = [name for name in curves if name not in controls]
    for name, (color, line) in zip(named, looks(len(named)), strict=True):
        axes.plot(shares, curves[name], color=color, linestyle=line, linewidth=1.4, label=name)
    for number, name in enumerate(name for name in curves if name in controls):
        together = f"random ({len(controls)} orders)" if number == 0 else None
        axes.plot(shares, curves[name], color=CONTEXT, linewidth=0.6, alpha=0.8, label=together)
