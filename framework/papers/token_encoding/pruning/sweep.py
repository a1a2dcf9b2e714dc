"""Sweep: the cost of each order of deletion, random ones included, by share of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from framework.papers.token_encoding.contexts import Contexts
from framework.papers.token_encoding.pruning.deletion import Deletion, affordable
from framework.papers.token_encoding.pruning.divergence import Divergence, diverge
from framework.papers.token_encoding.pruning.orders import Order
from framework.papers.token_encoding.pruning.saliency import RANDOM, REVERSE, SALIENCIES, Saliency
from framework.papers.token_encoding.readout import Readout

SEEDS = 3  # random orders beside every other
STEPS = 20  # a sweep deletes 1/20 after 1/20 of the dimensions
BUDGETS = (0.01, 0.05, 0.1)  # nats of KL


@dataclass(frozen=True)
class Curve:
    """Costs of an order of deletion.

    Args:
        name: Of the order.
        folded: Whether the mean stands where something is deleted.
        dim: How many dimensions there are.
        costs: By the number of deleted ones.
        fits: How many can be deleted, by the budget of KL.
    """

    name: str
    folded: bool
    dim: int
    costs: dict[int, Divergence]
    fits: dict[float, int]

    def at(self, step: int) -> Divergence:
        """Returns what `step` of `STEPS` equal parts of the dimensions cost."""
        return self.costs[_count(self.dim, step)]


def orders(saliency: Saliency, names: Sequence[str] = SALIENCIES) -> dict[str, Order]:
    """Returns orders by name, several random ones among them.

    Args:
        saliency: What scores dimensions.
        names: Which; random and reverse are always added.
    """
    found: dict[str, Order] = {}
    for name in dict.fromkeys((*names, RANDOM, REVERSE)):
        if name == RANDOM:
            found |= {f"{name} {seed}": saliency.order(name, seed) for seed in range(SEEDS)}
        else:
            found[name] = saliency.order(name)
    return found


def sweep(saliency: Saliency, own: Readout, contexts: Contexts) -> list[Curve]:
    """Deletes more and more dimensions in every order, with zeros and with the mean.

    Args:
        saliency: What scores dimensions, of contexts of other text.
        own: The read-out, on the device that computes.
        contexts: Where costs are measured.
    """
    mean = saliency.statistics.mean
    return [
        _curve(name, order, own, contexts, mean if folded else None)
        for name, order in orders(saliency).items()
        for folded in (False, True)
    ]


def _curve(
    name: str, order: Order, own: Readout, contexts: Contexts, mean: Tensor | None
) -> Curve:
    counts = sorted({_count(order.dim, step) for step in range(STEPS)})
    measured = diverge(own, contexts, [Deletion(order, count, mean) for count in counts])
    costs = dict(zip(counts, measured, strict=True))

    @cache
    def cost(count: int) -> float:
        [found] = diverge(own, contexts, [Deletion(order, count, mean)])
        return found.kl

    fits = {}
    for budget in BUDGETS:
        exceeding = next((n for n in counts if costs[n].kl > budget), order.dim)
        below = max(n for n in counts if n < exceeding)
        fits[budget] = affordable(budget, cost, below, exceeding)
    return Curve(name, mean is not None, order.dim, costs, fits)


def _count(dim: int, step: int) -> int:
    return min(round(dim * step / STEPS), dim - 1)
