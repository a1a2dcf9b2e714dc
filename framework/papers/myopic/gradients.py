"""Splits a gradient into the parts that serve the present and the future position."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from components.data import Batch
from components.interfaces import Loss
from framework.analysis.processes import exact, total
from framework.modules.base import PredictiveModule
from framework.modules.objective import UNIT, Objective
from framework.optimization import FLATTENED
from framework.papers.myopic.twin import ORDINARY, constant_past, twin

ALL = "all"
"""The group of all parameters that are measured."""


class GradientParts(NamedTuple):
    """Norms of a gradient and of its two parts, and the angle between these."""

    total: float  # norm of what training follows
    myopic: float  # norm of the part that serves the prediction of the same position
    future: float  # norm of the rest, total - myopic
    cosine: float  # of myopic and future part; `nan` where one is zero


class FutureGradient:
    r"""Splits the gradient of a model into a part for the present and one for the future.

    .. math:: \nabla L = g + f, \quad g = \sum_j G_{jj}, \quad f = \nabla L - g

    where :math:`G_{ij}` is the gradient of the loss at position j with respect to what position i
    computes. Myopic training follows g. Both are computed with the same weights, without dropout,
    in two passes over the same batch: one with ordinary attention, one with a constant past. The
    gradients are those of the mean of the objective over all batches and processes.

    Args:
        module: The model, built. It is not changed; later measurements use its current weights.
        constant: What of the past is constant for the present, `hidden` or `keys`.
        everything: Measure stem, head and all embeddings too, not only the rest of the backbone.
            The read-out attends to no past, so that all of its gradient is myopic.

    Raises:
        ValueError: If the attention of the backbone cannot be exchanged, or parameters are
            sharded.

    Source: Wu, Morris, Levine (arXiv:2404.00859), appendix on gradient angles; they leave out
        embedding and read-out.
    """

    def __init__(
        self, module: PredictiveModule, constant: str = "hidden", everything: bool = False
    ) -> None:
        if any(isinstance(p, DTensor) or FLATTENED in n for n, p in module.named_parameters()):
            raise ValueError(
                "FutureGradient needs whole parameters, which this strategy shards; choose "
                "another one, or measure checkpoints with `overtone future gradients`."
            )
        self.whole, self.cut = twin(module, ORDINARY), twin(module, constant_past(constant))
        self.parameters = dict(_chosen(self.whole, everything))

    def measure(self, batches: Iterable[Batch]) -> dict[str, GradientParts]:
        """Splits the gradient of the mean over the batches of all processes.

        Args:
            batches: Batches of this process, on the device of the model.

        Returns:
            Norms and cosines by group: all parameters, each block, and each kind of parameter
                over all blocks.
        """
        weight = torch.zeros(())
        sums = [[torch.zeros_like(p) for p in self.parameters.values()] for _ in range(2)]
        for batch in batches:
            weight = batch.weight.double().sum().cpu() + weight
            for own, module in zip(sums, (self.whole, self.cut), strict=True):
                torch._foreach_add_(own, self._gradient(module, batch))
        device = next(iter(self.parameters.values())).device
        weight = total(weight.to(device, torch.float32)) * UNIT
        whole, present = ([total(x) / weight for x in each] for each in sums)
        products: dict[str, Tensor] = {}
        for name, full, myopic in zip(self.parameters, whole, present, strict=True):
            rows = exact(torch.stack([full, myopic]).flatten(1))
            rows = torch.cat([rows, rows[:1] - rows[1:]])
            for group in groups(name):
                products[group] = products.get(group, 0) + rows @ rows.T
        return {group: _parts(products[group].cpu()) for group in sorted(products, key=_order)}

    @torch.enable_grad()
    def _gradient(self, module: PredictiveModule, batch: Batch) -> list[Tensor]:
        """Returns the gradient of the weighted sum of the objective over a batch."""
        losses = cast("dict[str, Loss]", dict(module.losses.items()))
        value = Objective(losses, type(self).__name__).add(module(batch), batch)
        wanted = [module.get_parameter(name) for name in self.parameters]
        found = torch.autograd.grad(value, wanted, allow_unused=True)
        return [
            torch.zeros_like(p) if g is None else g for p, g in zip(wanted, found, strict=True)
        ]


def groups(name: str) -> list[str]:
    """Returns the groups that a parameter belongs to, by its name.

    Example:
        >>> groups("backbone.blocks.2.attention.query.weight")
        ['all', 'block 3', 'attention.query.weight']
        >>> groups("backbone.norm.weight")
        ['all', 'backbone.norm.weight']
    """
    if found := re.match(r"backbone\.blocks\.(\d+)\.(.*)", name):
        return [ALL, f"block {int(found[1]) + 1}", found[2]]
    return [ALL, name]


def _chosen(module: PredictiveModule, everything: bool) -> Iterator[tuple[str, nn.Parameter]]:
    """Yields the trained parameters that are measured, by name."""
    tables = [part.weight for part in module.modules() if isinstance(part, nn.Embedding)]
    left_out = {id(table) for table in tables}
    for name, parameter in module.named_parameters():
        inside = name.startswith("backbone.") and id(parameter) not in left_out
        if parameter.requires_grad and (everything or inside):
            yield name, parameter


def _parts(products: Tensor) -> GradientParts:
    """Computes norms and cosine from products of total, myopic and future gradient `[3, 3]`."""
    total, myopic, future = products.diagonal().sqrt().tolist()
    both = myopic * future
    return GradientParts(total, myopic, future, float(products[1, 2]) / both if both else math.nan)


def _order(group: str) -> tuple[int, int]:
    """Orders groups: all parameters first, then blocks by number, then the others."""
    if group == ALL:
        return 0, 0
    found = re.fullmatch(r"block (\d+)", group)
    return (1, int(found[1])) if found else (2, 0)
