"""Pictures of what a head predicts: fitted to draws of three distributions, beside the truth."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, Normal

import components
from components import Head, Interval, Loss
from components.distributions.atoms import Mixed
from components.heads import __all__ as HEADS

DRAWS, STEPS, RATE = 500, 150, 0.05
LEAST = 0.01  # of a point mass that is shown
TAIL = 1e-5  # of probability that is not shown
LOW, HIGH = -1.0, 1.0
GRID = torch.linspace(-1.299, 1.299, 520)  # which meets no bound
TRUTH, INK = "#9e9e9e", ("#5c6bc0", "#ef6c00")
GRAY = "#808080"  # readable on light and on dark pages

Factory = Callable[..., Head]


class Truth(NamedTuple):
    """A distribution to fit, and whether what it draws is clipped to the range of outcomes."""

    name: str
    distribution: Distribution
    clipped: bool = False


PEAKS = Normal(torch.tensor([-0.5, 0.45]), torch.tensor([0.12, 0.08]))
TRUTHS = (
    Truth("one peak", Normal(0.1, 0.25)),
    Truth("two peaks", MixtureSameFamily(Categorical(torch.tensor([0.65, 0.35])), PEAKS)),
    Truth("clipped to the range", Normal(0.7, 0.35), clipped=True),
)
VARIANTS: Mapping[str, Mapping[str, Factory]] = {  # of heads with options that change the picture
    "LinearHead": {"bins: 64": partial(components.LinearHead, bins=64)},
    "FanHead": {"bins: 64": partial(components.FanHead, bins=64, hidden=64)},
    "FourierHead": {
        "frequencies: 12": partial(components.FourierHead, frequencies=12),
        "ends: even, atoms: bounds": partial(
            components.FourierHead, frequencies=24, ends="even", atoms="bounds"
        ),
    },
    "NormalHead": {
        "plain": components.NormalHead,
        "censored": partial(components.NormalHead, censored=True),
    },
}
CAPTION = (
    f"*Fitted to {DRAWS:,} draws of each of three distributions when this site was built. The "
    "hidden state only says which of them is meant. A bar with a percentage is a point mass.*"
)
LOSSES = {"QuantileHead": components.Pinball, "PointHead": components.SquaredError}


def panels(head: str) -> str:
    """Returns the pictures of a head in HTML, side by side where a page is wide.

    Args:
        head: The class, one of `components.heads`.
    """
    shown = (
        f'<img src="../{_file(head, truth)}" alt="{head}: {truth.name}" loading="lazy">'
        for truth in TRUTHS
    )
    return f'<div class="panels">{"".join(shown)}</div>\n\n{CAPTION}'


def drawn() -> dict[str, bytes]:
    """Draws what each head predicts for each of the three distributions, in SVG by file."""
    torch.manual_seed(0)
    draws = torch.stack([truth.distribution.sample((DRAWS,)) for truth in TRUTHS], -1)
    pictures = {}
    for head in HEADS:
        variants = VARIANTS.get(head, {head: getattr(components, head)})
        loss = LOSSES.get(head, components.NegativeLogLikelihood)()
        fitted = [_fit(make, draws.clamp(LOW, HIGH), loss) for make in variants.values()]
        for number, truth in enumerate(TRUTHS):
            curves = {label: each[number] for label, each in zip(variants, fitted, strict=True)}
            pictures[_file(head, truth)] = _draw(truth, curves)
    return pictures


class Curve(NamedTuple):
    """A predicted density over `GRID`, and its point masses by their values."""

    density: Tensor
    masses: dict[float, float]


def _fit(make: Factory, draws: Tensor, loss: Loss) -> list[Curve]:
    """Fits a head whose hidden state only says which of the distributions is meant."""
    torch.manual_seed(0)
    hidden = torch.eye(len(TRUTHS))
    head = make(dim=len(TRUTHS), support=Interval(LOW, HIGH))
    optimizer = torch.optim.Adam(head.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(head(hidden), draws).mean(0).sum().backward()
        optimizer.step()
    with torch.no_grad():
        prediction = head(hidden)
        values = GRID.unsqueeze(-1)
        below = prediction.cdf(values)
        # A value out of range scores as the nearest cell or atom, but there is nothing there.
        possible = (below > TAIL) & (below < 1 - TAIL)
        inside = prediction.log_prob(values).exp().where(possible, 0.0)
        atoms, masses = torch.empty(0), torch.empty(len(TRUTHS), 0)
        if isinstance(prediction, Mixed):
            atoms, masses = prediction.atoms, prediction.atom_masses
    rows = zip(inside.T, masses, strict=True)
    return [
        Curve(density, dict(zip(atoms.tolist(), own.tolist(), strict=True)))
        for density, own in rows
    ]


def _draw(truth: Truth, curves: Mapping[str, Curve]) -> bytes:
    with matplotlib.rc_context({"svg.hashsalt": truth.name, "font.size": 8}):
        figure = Figure(figsize=(2.7, 2.2))
        axes = figure.add_axes((0.12, 0.1, 0.87, 0.8))
        known = truth.distribution.log_prob(GRID).exp()
        if truth.clipped:
            known[(GRID < LOW) | (GRID > HIGH)] = 0.0
            beyond = 1 - truth.distribution.cdf(torch.tensor(HIGH)).item()
            axes.plot([HIGH, HIGH], [0, beyond], color=TRUTH, linewidth=6, alpha=0.6)
        axes.fill_between(GRID, known, color=TRUTH, alpha=0.4, linewidth=0, label="truth")
        for (label, curve), ink in zip(curves.items(), INK, strict=False):
            axes.plot(GRID, curve.density, color=ink, linewidth=1.3, label=label)
            for value, mass in curve.masses.items():
                _show_mass(axes, value, mass, ink)
        _finish(axes, truth.name)
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        return file.getvalue()


def _show_mass(axes: Axes, value: float, mass: float, ink: str) -> None:
    if mass >= LEAST:
        axes.plot([value, value], [0, mass], color=ink, marker="o", markersize=4)
        axes.annotate(f"{mass:.0%}", (value, mass), (4, 3), textcoords="offset points", color=ink)


def _file(head: str, truth: Truth) -> str:
    return f"{head}_{truth.name.replace(' ', '_')}.svg"


def _finish(axes: Axes, title: str) -> None:
    axes.set_title(title, color=GRAY, fontsize=9)
    axes.set_ylim(0, 1.5 * axes.get_ylim()[1])  # leaves room for the legend
    axes.tick_params(colors=GRAY, labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRAY)
    axes.legend(frameon=False, fontsize=7, labelcolor=GRAY, loc="upper left")
