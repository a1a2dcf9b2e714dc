"""The objective: named terms, each a weighted mean over all processes and micro-batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributions import Distribution

from components.data import Batch
from components.interfaces import Loss
from framework.interruptions import Diverged

UNIT = 2.0**-12
"""Factor of the sums that are differentiated: about one over the positions of a usual batch, which
keeps float16 gradients in range. A power of two, so it is exact, and it cancels."""


class Objective:
    r"""Sums the terms of the loss, and turns gradients of sums into gradients of means.

    .. math:: \sum_{\text{terms } l} \lambda_l \frac{\sum_i w_i \, l_i}{\sum_i w_i}

    where i runs over the positions of *all* processes and *all* micro-batches of an optimizer
    step. The denominator is known only after the last micro-batch, so sums are differentiated and
    gradients divided before clipping. Averaging the means of micro-batches instead would give
    short batches too much weight.

    Args:
        losses: The terms, by the name under which they are reported.
        owner: Name of the module, for messages.
    """

    def __init__(self, losses: Mapping[str, Loss], owner: str) -> None:
        self.losses = dict(losses)
        self.owner = owner
        self._sums: Tensor | None = None
        self._totals = [0.0] * (1 + len(self.losses))

    def add(self, prediction: Distribution, batch: Batch) -> Tensor:
        """Adds a micro-batch, and returns what to differentiate: UNIT times its weighted sum.

        Args:
            prediction: The predictive distribution, batch shape `[B, T]`.
            batch: Targets and weights.

        Raises:
            ValueError: If a term has no value for each target.
        """
        counts, target = batch.weight > 0, counted_target(batch)
        sums = []
        for name, loss in self.losses.items():
            values = loss(prediction, target)
            self._require_each(name, values, batch.weight)
            sums.append((torch.where(counts, values, 0) * batch.weight).sum())
        terms = torch.stack(sums)
        total = batch.weight.to(terms).sum()  # bfloat16 could not count to 257
        added = torch.cat([total[None], terms.detach()])
        self._sums = added if self._sums is None else self._sums + added
        # not a product with a tensor of factors: to copy that to a device waits for the device
        factors = [UNIT * loss.weight for loss in self.losses.values()]
        weighted = (factor * term for factor, term in zip(factors, sums, strict=True))
        return sum(weighted, start=terms.new_zeros(()))

    def _require_each(self, name: str, values: Any, weight: Tensor) -> None:
        shape = getattr(values, "shape", ())
        if shape != weight.shape:
            raise ValueError(
                f"{self.owner}: {type(self.losses[name]).__name__}, the loss term {name!r}, "
                f"returned values of shape {[*shape]}, where targets have {[*weight.shape]}; "
                "return the loss of each, not their mean or sum."
            )

    def finalize_step(
        self, parameters: Iterable[Tensor], step: int, group: dist.ProcessGroup | None = None
    ) -> float:
        """Divides the gradients of an optimizer step by the total weight.

        Args:
            parameters: Those whose gradients hold the sum over processes and micro-batches.
            step: Number of the step, for messages.
            group: Processes that read different data, all if None.

        Returns:
            The objective of this step, the same in every process; 0 where nothing had weight.

        Raises:
            Diverged: If a term is not finite; before any parameter is changed, in every process.
        """
        assert self._sums is not None
        if dist.is_initialized():
            dist.all_reduce(self._sums, group=group)
        weight, *sums = self._sums.tolist()
        self._sums = None
        for name, value in zip(self.losses, sums, strict=True):
            if not math.isfinite(value):
                raise Diverged(
                    f"{self.owner}: the loss term {name!r} is {value} at step {step}; lower the "
                    "learning rate, clip gradients (trainer.gradient_clip_val) or look for such "
                    "values in the data."
                )
        gradients = [_local(p.grad) for p in parameters if p.grad is not None]
        if gradients:
            torch._foreach_mul_(gradients, 1 / (UNIT * weight) if weight else 0.0)
        self._totals = [a + b for a, b in zip(self._totals, (weight, *sums), strict=True)]
        factors = [loss.weight for loss in self.losses.values()]
        total = sum(factor * value for factor, value in zip(factors, sums, strict=True))
        return total / weight if weight else 0.0

    def means(self) -> dict[str, float]:
        """Returns the mean of each term since the last call, and the objective as "loss".

        They are the same in every process; empty where nothing had weight.
        """
        weight, *sums = self._totals
        self._totals = [0.0] * len(self._totals)
        if not weight:
            return {}
        means = {name: total / weight for name, total in zip(self.losses, sums, strict=True)}
        loss = sum(loss.weight * means[name] for name, loss in self.losses.items())
        return {**means, "loss": loss}


def counted_target(batch: Batch) -> Tensor:
    """Returns the targets `[B, T, *event]`, 0 where they have no weight.

    What stands there, such as -100 or NaN, would be refused as an outcome, or its gradient, though
    not its loss, would be NaN.
    """
    counts = (batch.weight > 0).view(
        *batch.weight.shape, *(1,) * (batch.target.ndim - batch.weight.ndim)
    )
    return torch.where(counts, batch.target, 0)


def _local(gradient: Tensor) -> Tensor:
    """Returns the part of a gradient that this process holds."""
    return gradient.to_local() if isinstance(gradient, DTensor) else gradient
