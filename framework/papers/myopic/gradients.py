"""How much of the gradient serves the present and how much the future, and whether they agree."""

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


class Split(NamedTuple):
    """Sizes of the two parts of a gradient, and their angle."""

    total: float  # norm of what training follows
    myopic: float  # norm of the part that serves the prediction of the same position
    future: float  # norm of the rest, total - myopic
    cosine: float  # of myopic and future part; `nan` where one is zero


class FutureGradient:
    r"""Splits the gradient of a model into what serves the present and what serves the future.

    .. math:: \nabla L = g + f, \quad g = \sum_j G_{jj}, \quad f = \nabla L - g

    where :math:`G_{ij}` is the gradient of the loss at position j with respect to what position i
    computes. g is what myopic training follows. Both are taken from one model with the same
    weights, without dropout, by two passes over the same batch: one with ordinary attention, one
    with a constant past. The gradients are those of the mean of the objective over all batches
    and processes.

    Args:
        module: The model, built; it is not changed, and its later changes are seen.
        constant: What of the past is constant for the present, `hidden` or `keys`.
        everything: Measure stem, head and all embeddings too, instead of the rest of the backbone
            only. What reads out knows no past, so that its gradient is all myopic.

    Raises:
        ValueError: If the backbone has no attention that can be cut, or parameters are sharded.

    Source: Wu, Morris, Levine (arXiv:2404.00859), appendix on gradient angles; they leave out
        embedding and read-out.
    """

    def __init__(
        self, module: PredictiveModule, constant: str = "hidden", everything: bool = False
    ) -> None:
        if any(isinstance(p, DTensor) or FLATTENED in n for n, p in module.named_parameters()):
            raise ValueError(
                "FutureGradient needs whole parameters, and a sharded strategy divides them; "
                "choose another one, or measure checkpoints with `overtone future gradients`."
            )
        self.whole, self.cut = twin(module, ORDINARY), twin(module, constant_past(constant))
        self.parameters = dict(_chosen(self.whole, everything))

    def measure(self, batches: Iterable[Batch]) -> dict[str, Split]:
        """Splits the gradient of the mean over batches, which processes share.

        Args:
            batches: Those of this process, on the device of the model.

        Returns:
            Norms and cosines: of all parameters, of each block, and of each kind of parameter
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
        for name, all_of_it, part in zip(self.parameters, whole, present, strict=True):
            rows = exact(torch.stack([all_of_it, part]).flatten(1))
            rows = torch.cat([rows, rows[:1] - rows[1:]])
            for group in groups(name):
                products[group] = products.get(group, 0) + rows @ rows.T
        return {group: _split(products[group].cpu()) for group in sorted(products, key=_order)}

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
    """Names the parameters that are measured: trained ones."""
    tables = [part.weight for part in module.modules() if isinstance(part, nn.Embedding)]
    left_out = {id(table) for table in tables}
    for name, parameter in module.named_parameters():
        inside = name.startswith("backbone.") and id(parameter) not in left_out
        if parameter.requires_grad and (everything or inside):
            yield name, parameter


def _split(products: Tensor) -> Split:
    """Reads norms and cosine off the products of total, myopic and future gradient, `[3, 3]`."""
    total, myopic, future = products.diagonal().sqrt().tolist()
    both = myopic * future
    return Split(total, myopic, future, float(products[1, 2]) / both if both else math.nan)


def _order(group: str) -> tuple[int, int]:
    """Puts all parameters first, then blocks by their number; the others stay as they are."""
    if group == ALL:
        return 0, 0
    found = re.fullmatch(r"block (\d+)", group)
    return (1, int(found[1])) if found else (2, 0)
