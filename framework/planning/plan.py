"""The numbers of a run that has not started, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from torch import Tensor

from framework.costs.activations import StepCosts
from framework.costs.states import States, size
from framework.modules.base import PredictiveModule
from framework.planning.layout import Layout

PREFETCHED = 2  # blocks that FSDP2 holds whole at a time: one, and the next
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
PER_TENSOR = 1024  # bytes, at most, of names and padding beside a tensor in a checkpoint
PER_FILE = 65536  # bytes, at most, of the recipe and of what else a checkpoint holds


@dataclass(frozen=True)
class Memory:
    """Bytes on the process that holds most, when the backward pass begins.

    Args:
        weights: Parameters and buffers.
        gradients: Gradients between backward pass and step.
        optimizer: States of the optimizer.
        gathered: What FSDP2 holds whole beside its shards: the parts outside of blocks, two
            blocks, and the gradients of the largest unit.
        kept: Activations where nothing is recomputed.
        recomputed: Activations where blocks are.
    """

    weights: int
    gradients: int
    optimizer: int
    gathered: int
    kept: int
    recomputed: int

    def total(self, recomputing: bool) -> int:
        """Returns the sum; kernels, libraries and the allocator need more."""
        states = self.weights + self.gradients + self.optimizer + self.gathered
        return states + (self.recomputed if recomputing else self.kept)


@dataclass(frozen=True)
class Plan:
    """A run as it would be.

    Args:
        layout: Its processes.
        costs: Costs of a micro-batch on one of them.
        memory: Bytes on one of them.
        parameters: Number of parameters.
        checkpoint: Bytes of the tensors in a checkpoint.
        tensors: Number of these.
        accumulate: Micro-batches of a step.
        steps: Steps of the run, None without end.
        rate: Positions per second of all processes, None if not known.
        recomputing: Whether the recipe recomputes blocks; None if only parts of them.
    """

    layout: Layout
    costs: StepCosts
    memory: Memory
    parameters: int
    checkpoint: int
    tensors: int
    accumulate: int
    steps: int | None
    rate: float | None
    recomputing: bool | None

    @property
    def positions_per_step(self) -> int:
        """Positions that a step predicts, on all processes."""
        return self.costs.positions * self.layout.readers * self.accumulate

    @property
    def positions(self) -> int | None:
        """Positions that the run predicts."""
        return None if self.steps is None else self.steps * self.positions_per_step

    @property
    def flops(self) -> float | None:
        """Operations of the run, without what is recomputed."""
        return None if self.positions is None else self.positions * self.costs.flops_per_position

    @property
    def checkpoint_at_most(self) -> int:
        """Bytes that the file of a checkpoint does not exceed."""
        return self.checkpoint + self.tensors * PER_TENSOR + PER_FILE

    def as_dict(self) -> dict[str, Any]:
        """Returns the numbers in plain types, bytes and operations unrounded."""
        return {
            "strategy": self.layout.name,
            "ranks": self.layout.ranks,
            "shards": self.layout.shards,
            "tensor_parallel_size": self.layout.share.tensors,
            "context_parallel_size": self.layout.share.contexts,
            "parameters": self.parameters,
            "flops_per_position": self.costs.flops_per_position,
            "positions_per_step": self.positions_per_step,
            "steps": self.steps,
            "positions": self.positions,
            "flops": self.flops,
            "checkpoint_bytes": self.checkpoint,
            "checkpoint_at_most": self.checkpoint_at_most,
            "positions_per_s": self.rate,
            "seconds": self._seconds(),
            "memory_per_rank": {
                "weights": self.memory.weights,
                "gradients": self.memory.gradients,
                "optimizer": self.memory.optimizer,
                "gathered": self.memory.gathered,
                "activations": self.memory.kept,
                "activations_recomputing": self.memory.recomputed,
            },
        }

    def work(self) -> list[list[str]]:
        """Returns what is computed as rows of a table, the header first."""
        rows = [["work", ""]]
        rows += [["operations per position", _flops(self.costs.flops_per_position)]]
        rows += [["positions per step", f"{self.positions_per_step:,}"]]
        if self.steps is None or self.positions is None:
            rows += [["steps", "without end"]]
        else:
            rows += [["steps", f"{self.steps:,}"], ["positions", f"{self.positions:,}"]]
            rows += [["operations", _flops(self.flops or 0.0)]]
        rows += [["checkpoint", in_bytes(self.checkpoint)]]
        if self.rate is not None:
            rows += [["positions per second", f"{self.rate:,.0f}"]]
        if (seconds := self._seconds()) is not None:
            rows += [["time", str(timedelta(seconds=round(seconds)))]]
        return rows

    def memory_rows(self) -> list[list[str]]:
        """Returns memory of a process as rows, with and without recomputation, header first."""
        memory = self.memory
        same = {
            "weights": memory.weights,
            "gradients": memory.gradients,
            "optimizer": memory.optimizer,
            **({"gathered": memory.gathered} if memory.gathered else {}),
        }
        names = ["activations kept", "blocks recomputed"]
        if self.recomputing is not None:  # else its activations lie between the two
            names[self.recomputing] += " (this recipe)"
        rows = [["memory of a process", *names]]
        rows += [[name, in_bytes(value), in_bytes(value)] for name, value in same.items()]
        rows += [["activations", in_bytes(memory.kept), in_bytes(memory.recomputed)]]
        return [*rows, ["sum", *(in_bytes(memory.total(choice)) for choice in (False, True))]]

    def _seconds(self) -> float | None:
        if self.positions is None or self.rate is None:
            return None
        return self.positions / self.rate


def memory_of(
    module: PredictiveModule, states: States, costs: StepCosts, layout: Layout
) -> Memory:
    """Adds up what one process holds.

    Args:
        module: The module without storage.
        states: Its tensors, and those of its optimizer.
        costs: Costs of a micro-batch.
        layout: The processes.
    """
    return Memory(
        weights=size(states.parameters, layout.shards) + size(states.buffers),
        gradients=size(states.trained, layout.shards) * (1 + layout.buckets),
        optimizer=size(states.optimizer, layout.shards),
        gathered=_gathered(module) if layout.shards > 1 else 0,
        kept=costs.activations(False),
        recomputed=costs.activations(True),
    )


def _gathered(module: PredictiveModule) -> int:
    """Returns the bytes that FSDP2 holds whole: parameters of units, and gradients of one."""
    blocks = [size(block.parameters()) for block in module.backbone.blocks]
    outside = list(_outside(module))
    largest = max(blocks, default=0)
    return sum(outside) + PREFETCHED * largest + max([largest, *outside])


def _outside(module: PredictiveModule) -> Iterator[int]:
    """Yields the bytes of each unit outside of the blocks; a shared tensor is in the first."""
    seen = {id(p) for block in module.backbone.blocks for p in block.parameters()}
    for part in (module.stem, module.backbone, module.head.projection):
        own: list[Tensor] = [p for p in part.parameters() if id(p) not in seen]
        seen.update(map(id, own))
        yield size(own)


def in_bytes(count: float) -> str:
    """Writes a number of bytes in decimal units.

    Example:
        >>> in_bytes(999), in_bytes(1_536_000), in_bytes(40e9)
        ('999 B', '1.54 MB', '40 GB')
    """
    unit = 0
    while count >= 1000 and unit < len(UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:.3g} {UNITS[unit]}"


def _flops(count: float) -> str:
    for name, factor in (("ZFLOP", 1e21), ("EFLOP", 1e18), ("PFLOP", 1e15), ("TFLOP", 1e12)):
        if count >= factor:
            return f"{count / factor:.4g} {name}"
    return f"{count / 1e9:.4g} GFLOP" if count >= 1e9 else f"{count / 1e6:.4g} MFLOP"
