"""Means over everything that all processes saw: sums and counts, reduced once."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


class WeightedMeans:
    """Accumulates values and weights by name; a mean is the ratio of their sums.

    Unlike a mean of the means of batches, or of processes, the result does not depend on how the
    data were divided. Nothing synchronizes with the device until `means` is called.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor, weight: Tensor) -> None:
        """Adds weighted values; those of weight 0 may be anything, `nan` too.

        Args:
            name: Name of the mean.
            value: Values, any shape.
            weight: Weight of each, of the same shape.

        Raises:
            ValueError: If the shapes differ.
        """
        if value.shape != weight.shape:
            raise ValueError(
                f"The metric {name!r} has values of shape {[*value.shape]}, and weights of "
                f"{[*weight.shape]}; give each value its weight."
            )
        exact = _exact(value.device)
        value, weight = value.detach().to(exact), weight.detach().to(exact)
        self.add_ratio(name, torch.where(weight != 0, value * weight, 0), weight)

    def add_ratio(self, name: str, numerator: Tensor, denominator: Tensor) -> None:
        """Adds to both sums of a metric that is a ratio of sums.

        Args:
            name: Name of the metric.
            numerator: Values, any shape.
            denominator: Values, any shape.
        """
        exact = _exact(numerator.device)
        sums = torch.stack([x.detach().to(exact).sum() for x in (numerator, denominator)])
        self._sums[name] = self._sums[name] + sums if name in self._sums else sums

    def means(self, device: torch.device) -> dict[str, float]:
        """Returns the means over all processes by name (`nan` without weight), and resets.

        Args:
            device: Where processes exchange tensors.
        """
        names = self._names()
        table = torch.zeros(len(names), 2, dtype=_exact(device), device=device)
        for row, name in zip(table, names, strict=True):
            if name in self._sums:
                row.copy_(self._sums[name])
        if dist.is_initialized():
            dist.all_reduce(table)
        self._sums = {}
        return {
            name: total / weight if weight else float("nan")
            for name, (total, weight) in zip(names, table.tolist(), strict=True)
        }

    def _names(self) -> list[str]:
        """Returns the names in any process, in the same order everywhere."""
        names = [list(self._sums)]
        if dist.is_initialized():
            names = [[]] * dist.get_world_size()
            dist.all_gather_object(names, list(self._sums))
        return sorted(set().union(*names))


def _exact(device: torch.device) -> torch.dtype:
    """Returns the type of sums, float64: over a data set 24 bits do not suffice."""
    return torch.float32 if device.type == "mps" else torch.float64  # has no float64
