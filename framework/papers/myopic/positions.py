"""The loss at each position of the window, of one model or of several on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from components.data import Batch
from framework.analysis.processes import exact, largest, total
from framework.analysis.sample import Sample
from framework.modules.base import PredictiveModule
from framework.modules.objective import counted_target

NLL = "nll"  # is measured even if the objective has no such term


class PositionLosses(NamedTuple):
    """Means over examples at each of T positions; `nan` where no weight is positive."""

    loss: Tensor  # [M, T] float64, of each model
    gap: Tensor  # [M, T], minus that of the first model
    error: Tensor  # [M, T], standard error of the gap over examples

    def mean(self, weight: Tensor) -> Tensor:
        """Averages the loss over positions, weighted by `weight` `[T]`: `[M]`."""
        return torch.where(weight > 0, self.loss * weight, 0).sum(1) / weight.sum()


class PositionSums:
    """Sums the losses of models position by position, without keeping the examples."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None  # [2 + 2 M, T]: w, w², then w l and w d² of each model

    def add(self, losses: Tensor, weight: Tensor) -> None:
        """Adds losses `[M, B, T]`, weighted by `weight` `[B, T]`."""
        w = exact(weight)
        values = torch.where(w > 0, exact(losses), 0)
        gaps = values - values[:1]
        rows = [w.sum(0)[None], w.square().sum(0)[None], (values * w).sum(1)]
        sums = torch.cat([*rows, (gaps.square() * w).sum(1)])
        self._sums = sums if self._sums is None else _add(self._sums, sums)

    def means(self) -> tuple[PositionLosses, Tensor]:
        """Returns the means over all processes, and the weight of each position `[T]`."""
        assert self._sums is not None
        longest = largest(self._sums.shape[1], self._sums.device)
        sums = total(_padded(self._sums, longest))
        (weight, squares), (loss, square) = sums[:2], sums[2:].chunk(2)
        mean, second = loss / weight, square / weight
        gap = mean - mean[:1]
        error = ((second - gap.square()).clamp(min=0) * squares).sqrt() / weight
        return PositionLosses(mean.cpu(), gap.cpu(), error.cpu()), weight.cpu()


@torch.no_grad()
def measure_positions(
    modules: Sequence[PredictiveModule], sample: Sample, term: str = NLL
) -> tuple[PositionLosses, Tensor]:
    """Measures the loss of models at each position of a sample.

    Args:
        modules: The models, built; they are set to evaluation mode.
        sample: The examples.
        term: Term of their objectives to measure, or `nll`, the negative log-likelihood.

    Returns:
        The means, and the weight of each position `[T]`.

    Raises:
        ValueError: If a model has no such term.
    """
    sums = PositionSums()
    for module in modules:
        module.eval()
    for _, batch in sample:
        losses = torch.stack([_loss(module, batch, term) for module in modules])
        sums.add(losses, batch.weight)
    return sums.means()


def _loss(module: PredictiveModule, batch: Batch, term: str) -> Tensor:
    """Returns a loss at each position, `[B, T]`."""
    target = counted_target(batch)
    if term in module.losses:
        values: Tensor = module.losses[term](module(batch), target)
        return values
    if term != NLL:
        raise ValueError(
            f"{type(module).__name__} has no term {term!r} in its objective; choose from "
            f"{', '.join({**dict.fromkeys(module.losses), NLL: None})}."
        )
    log_prob: Tensor = module(batch).log_prob(target)
    return -log_prob


def _add(some: Tensor, more: Tensor) -> Tensor:
    length = max(some.shape[1], more.shape[1])
    return _padded(some, length) + _padded(more, length)


def _padded(sums: Tensor, length: int) -> Tensor:
    return pad(sums, (0, length - sums.shape[1]))
