"""Deletion of dimensions that a read-out reads, and how many a budget allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.papers.token_encoding.pruning.orders import Order
from framework.papers.token_encoding.readout import Readout


@dataclass(frozen=True, eq=False)
class Deletion:
    """The first `count` dimensions of an order, deleted.

    Args:
        order: The order.
        count: How many are deleted, from 0 to D - 1.
        mean: Mean of what is read, `[D]`, which then stands where something was deleted: the
            read-out gets a constant for each token. None puts zeros there.

    Raises:
        ValueError: If nothing would be left, or `count` is negative.
    """

    order: Order
    count: int
    mean: Tensor | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.count < self.order.dim:
            raise ValueError(
                f"Deletion: {self.count} of {self.order.dim} dimensions; delete at least 0 and "
                "leave at least 1."
            )

    def states(self, hidden: Tensor) -> Tensor:
        """Returns what is left of vectors `[..., D]`, with the mean for the rest if folded."""
        left = self.order.left(hidden, self.count)
        if self.mean is None:
            return left
        mean = self.mean.cpu()
        return left + (mean - self.order.left(mean, self.count)).to(hidden)

    def zeroed(self, own: Readout) -> Readout:
        """Returns a read-out of the same shape that ignores what is deleted, on the CPU."""
        rows = own.weight.cpu().double()
        weight = self.order.narrowed(rows, self.count)
        bias = None if own.bias is None else own.bias.cpu()
        if self.mean is not None:  # a constant of each token for what is deleted
            folded = (rows - weight) @ self.mean.cpu()
            bias = (folded if bias is None else folded + bias.double()).float()
        return Readout(weight.float(), bias)

    def physical(self, own: Readout) -> Readout:
        """Returns a read-out of the dimensions that are left, which `order.kept(count)` names.

        Raises:
            ValueError: If it is not dimensions that are deleted.
        """
        kept, zeroed = self.order.kept(self.count), self.zeroed(own)
        return Readout(zeroed.weight[:, kept], zeroed.bias)


def share(fraction: float, dim: int) -> int:
    """Counts the dimensions that are a share of all, to the nearest.

    Args:
        fraction: The share, at least 0 and below 1.
        dim: How many there are.

    Raises:
        ValueError: If it is out of range, or rounds to none though it is not 0, or to all.

    Example:
        >>> share(0.3, 128)
        38
    """
    require_share(fraction)
    count = round(fraction * dim)
    if count == dim:
        raise ValueError(
            f"prune: fraction={fraction} deletes all {dim} dimensions; leave at least one, "
            f"fraction={(dim - 1) / dim:.4g} at most."
        )
    if count == 0 and fraction > 0:
        raise ValueError(
            f"prune: fraction={fraction} of {dim} dimensions is none; give at least {1 / dim:.4g}."
        )
    return count


def affordable(budget: float, cost: Callable[[int], float], fits: int, exceeds: int) -> int:
    """Finds how many deletions a budget allows, by bisection.

    Args:
        budget: What they may cost.
        cost: What a number of deletions costs; more of them cost more.
        fits: A number that the budget allows, such as 0.
        exceeds: One that it does not, such as all dimensions.

    Example:
        >>> affordable(10.0, lambda count: count**2, 0, 8)
        3
    """
    while exceeds - fits > 1:
        middle = (fits + exceeds) // 2
        if cost(middle) <= budget:
            fits = middle
        else:
            exceeds = middle
    return fits


def require_share(fraction: float) -> None:
    """Raises a ValueError if a fraction is no share of dimensions that can be deleted."""
    if not 0 <= fraction < 1:
        raise ValueError(
            f"prune: fraction={fraction} is no share of dimensions to delete; give at least 0 and "
            "less than 1."
        )


def require_budget(name: str, budget: float) -> None:
    """Raises a ValueError if a budget, an option of that name, is not positive."""
    if not (budget > 0 and torch.isfinite(torch.tensor(budget))):
        raise ValueError(f"prune: {name}={budget} is no budget; give positive nats.")
