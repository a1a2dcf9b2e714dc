"""Operations of a training step, and the activations that it keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from components.interfaces import Loss
from framework.costs.shapes import fake_batch, twin, without_values
from framework.costs.shares import ALL, Share
from framework.execution import PLAIN
from framework.modules.base import PredictiveModule
from framework.modules.objective import Objective

PASSES = 3  # one forward, and two backward: for the inputs of each product and for its weights


@dataclass(frozen=True)
class StepCosts:
    """Costs of one micro-batch on one process.

    Args:
        positions: Positions that it predicts.
        forward: Floating-point operations of the forward pass: 2·m·n·k for a product of matrices,
            that of attention over the whole square of positions; others are not counted.
        kept: Bytes that are kept for the backward pass, without parameters and buffers.
        kept_recomputing: Those of blocks that keep their inputs only.
        block: The most bytes that one block keeps, which then are recomputed at a time.
    """

    positions: int
    forward: int
    kept: int
    kept_recomputing: int
    block: int

    @property
    def flops_per_position(self) -> float:
        """Operations of forward and backward pass for a position, without any recomputation."""
        return PASSES * self.forward / self.positions

    def activations(self, recomputing: bool) -> int:
        """Returns the bytes of activations at their peak, when the backward pass begins."""
        return self.kept_recomputing + self.block if recomputing else self.kept


class KeptTensors(saved_tensors_hooks):
    """Counts the bytes that autograd keeps inside a `with` statement, each storage once.

    Args:
        known: Tensors that are not counted, such as parameters.
    """

    def __init__(self, known: Iterable[Tensor]) -> None:
        self._known = {id_of(tensor) for tensor in known}
        self._kept: dict[int, torch.UntypedStorage] = {}  # alive, for an address has one owner
        self.bytes = 0
        super().__init__(self._keep, _same)

    def __enter__(self) -> Self:  # type: ignore[override]  # torch's returns nothing
        """Begins to count."""
        super().__enter__()
        return self

    def _keep(self, tensor: Tensor) -> Tensor:
        key = id_of(tensor)
        if key not in self._known and key not in self._kept:
            self._kept[key] = tensor.untyped_storage()
            self.bytes += self._kept[key].nbytes()
        return tensor


def id_of(tensor: Tensor) -> int:
    """Returns a number that tensors have in common which share their storage."""
    return int(tensor.untyped_storage()._cdata)


def step_costs(
    module: PredictiveModule,
    batch: Any,
    precision: Precision | None = None,
    share: Share = ALL,
) -> StepCosts:
    """Counts what a micro-batch costs, on shapes alone: nothing is computed.

    Args:
        module: The module, built or not.
        batch: A batch as large as that of one process.
        precision: How a trainer computes, in the precision of the parameters if None.
        share: What one process has of layers and positions; its operations are counted.

    Raises:
        ValueError: If the model needs the values of tensors, or cannot be divided so.
    """
    with without_values(f"{type(module).__name__}"):
        counter = FlopCounterMode(display=False, custom_mapping=_ATTENTION)
        plain = twin(module, PLAIN, precision, share)
        sizes: list[int] = []
        kept = _kept(plain, batch, precision, counter, sizes)
        recomputing = twin(module, replace(PLAIN, checkpoint=True), precision, share)
        return StepCosts(
            positions=batch.weight.numel(),
            forward=counter.get_total_flops(),
            kept=kept,
            kept_recomputing=_kept(recomputing, batch, precision),
            block=max(sizes, default=0),
        )


def _kept(
    module: PredictiveModule,
    batch: Any,
    precision: Precision | None,
    counter: FlopCounterMode | None = None,
    sizes: list[int] | None = None,
) -> int:
    """Runs a forward pass; returns the bytes that it keeps, and adds those of each block."""
    objective = Objective(
        cast("dict[str, Loss]", dict(module.losses.items())), type(module).__name__
    )
    known = [*module.parameters(), *module.buffers()]
    tensors = fake_batch(batch)
    if precision is not None:
        tensors = precision.convert_input(tensors)
    context = nullcontext() if precision is None else precision.forward_context()
    with context, counter or nullcontext(), KeptTensors(known) as kept:
        for block in module.backbone.blocks if sizes is not None else ():
            block.forward = _measured(block, kept, sizes)
        objective.add(module(tensors), tensors)
    return kept.bytes


def _measured(block: nn.Module, kept: KeptTensors, sizes: list[int] | None) -> Any:
    forward: Callable[..., Any] = block.forward

    def call(*args: Any, **options: Any) -> Any:
        before = kept.bytes
        result = forward(*args, **options)
        assert sizes is not None
        sizes.append(kept.bytes - before)
        return result

    return call


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]  # torch's


_ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
