"""Reports of a sweep: tables, numbers, a picture, and whether the paper's claim holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from framework.analysis.report import Report
from framework.papers.token_encoding.figures.pruning import draw_pruning
from framework.papers.token_encoding.pruning.divergence import Divergence
from framework.papers.token_encoding.pruning.saliency import PAPER, RANDOM, ROTATED
from framework.papers.token_encoding.pruning.sweep import BUDGETS, STEPS, Curve

SHOWN = (1, 2, 4, 6, 8, 10)  # of `STEPS` parts, in tables
CLAIM = 6  # parts that can be deleted without significant effect, by the abstract of the paper
FREE = 0.05  # nats of KL that we call no significant effect; the paper names no number
WAYS = {False: "zeros", True: "mean folded"}
MEASURES = {
    "kl": "KL(before‖after) in nats, and dimensions that fit a budget",
    "js": "Jensen-Shannon divergence in nats",
    "nll": "Added loss of the tokens that came, in nats",
    "agreement": "Share of contexts whose most likely token stays",
}

Pairs = Mapping[str, tuple[Curve, Curve]]
"""Curves with zeros and with the mean folded, by order."""


def report_sweep(curves: Sequence[Curve]) -> Report:
    """Reports a sweep: KL and budgets in the table, everything in numbers and a picture.

    Args:
        curves: Every order, with zeros and with the mean.
    """
    numbers: list[list[str | float]] = [
        ["order", "way", "deleted", "fraction", *Divergence._fields]
    ]
    metrics: dict[str, float] = {}
    for curve in curves:
        way = WAYS[curve.folded]
        for count, cost in curve.costs.items():
            numbers.append([curve.name, way, count, count / curve.dim, *cost])
        own = {f"{name} at {_percent(CLAIM)}": x for name, x in curve.at(CLAIM)._asdict().items()}
        own |= {f"fit {budget} nats": float(count) for budget, count in curve.fits.items()}
        metrics |= {f"prune/{curve.name}, {way}/{name}": x for name, x in own.items()}
    return Report("pruning", sweep_table(curves, "kl"), numbers, metrics, _draw(curves))


def sweep_table(curves: Sequence[Curve], measure: str) -> list[list[str]]:
    """Returns a table of a measure by order and share, `zeros | mean folded` in a cell.

    Args:
        curves: Every order, with zeros and with the mean.
        measure: One of `MEASURES`; with KL, how many dimensions fit budgets.
    """
    budgets = BUDGETS if measure == "kl" else ()
    head = [*map(_percent, SHOWN), *(f"fit {budget}" for budget in budgets)]
    table = [["order", *head]]
    for name, pair in _pairs(curves).items():
        costs = [[f"{getattr(x.at(step), measure):.4f}" for x in pair] for step in SHOWN]
        fits = [[str(x.fits[budget]) for x in pair] for budget in budgets]
        table.append([name, *map(" | ".join, costs + fits)])
    return table


def verdict(curves: Sequence[Curve]) -> str:
    """Compares the claim of the paper with the measurement, in sentences.

    Args:
        curves: Every order, with zeros and with the mean.
    """
    zeroed = {name: zeros.at(CLAIM) for name, (zeros, _) in _pairs(curves).items()}
    cost, part = zeroed[PAPER], _percent(CLAIM)
    chance = fmean(x.kl for name, x in zeroed.items() if name.startswith(RANDOM))
    best = min((x for x in curves if x.name != ROTATED), key=lambda x: x.at(CLAIM).kl)
    holds = "holds" if cost.kl <= FREE else "does not hold"
    than = "cheaper" if cost.kl < chance else "no cheaper"
    return (
        f"The paper says that more than {part} of dimensions can be deleted without significant "
        f"effect (arXiv:2406.01468). Here {part} by {PAPER}, set to zero, cost {cost.kl:.4f} nats "
        f"of KL and {cost.nll:.4f} nats of loss, and change the most likely token in "
        f"{1 - cost.agreement:.1%} of contexts: if more than {FREE} nats of KL is significant, "
        f"the claim {holds}. That order is {than} than random ones ({chance:.4f} nats on "
        f"average). The cheapest order of dimensions there is {best.name}, {WAYS[best.folded]}: "
        f"{best.at(CLAIM).kl:.4f} nats."
    )


def _pairs(curves: Sequence[Curve]) -> Pairs:
    zeros, folded = ([x for x in curves if x.folded == way] for way in WAYS)
    return {x.name: (x, y) for x, y in zip(zeros, folded, strict=True)}


def _percent(step: int) -> str:
    return f"{step / STEPS:.0%}"


def _draw(curves: Sequence[Curve]) -> Figure:
    def by_way(measure: str) -> dict[str, dict[str, list[float]]]:
        return {
            WAYS[way]: {
                curve.name: [getattr(cost, measure) for cost in curve.costs.values()]
                for curve in curves
                if curve.folded == way
            }
            for way in WAYS
        }

    fractions = [count / curves[0].dim for count in curves[0].costs]
    random = [name for name in _pairs(curves) if name.startswith(RANDOM)]
    return draw_pruning(fractions, by_way("kl"), by_way("agreement"), random, CLAIM / STEPS)
