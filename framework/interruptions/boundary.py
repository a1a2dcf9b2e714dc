"""The end of the last whole optimizer step: what a checkpoint that is written later must hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.progress import _BaseProgress
from torch import Tensor

from framework.replacing import replaced


class StepBoundary:
    """Knows how far a trainer was when a step ended, and whether the model still is there.

    Until the next optimizer step changes a tensor, a run that is interrupted, in the middle of a
    batch or of a validation, can be saved as it was at the end of the last step. A validation that
    was due then, but did not end, is done again when the run is resumed.
    """

    def __init__(self) -> None:
        self.step = -1
        self._counters: list[
            tuple[Any, str, Any]
        ] = []  # owner, name, value at the end of the step
        self._tensors: list[Tensor] = []  # what a step changes
        self._states = -1  # parameters of which the optimizers keep a state
        self._versions = -1
        self._awaits_validation = False

    def note(self, trainer: Trainer) -> None:
        """Remembers the end of a step; takes some microseconds for each hundred tensors."""
        loop = trainer.fit_loop.epoch_loop
        due = loop._should_check_val_fx(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]
        self._awaits_validation = bool(due and trainer.enable_validation)
        self.step = trainer.global_step
        self._counters = list(_counters(trainer.fit_loop))
        states = sum(len(optimizer.state) for optimizer in trainer.optimizers)
        if states != self._states:
            self._states, self._tensors = states, list(_tensors(trainer))
        self._versions = self._count_changes()

    def validated(self) -> None:
        """Forgets that a validation was due."""
        self._awaits_validation = False

    def is_intact(self, trainer: Trainer) -> bool:
        """Whether parameters, buffers and optimizer are as they were at the end of the step."""
        return self.step == trainer.global_step and self._versions == self._count_changes()

    def correct(self, trainer: Trainer, checkpoint: dict[str, Any], rewinds: bool) -> None:
        """Writes into a checkpoint how far the loops are.

        Args:
            trainer: The trainer.
            checkpoint: What it wants to save; changed in place.
            rewinds: Whether to go back to the end of the step, wherever the loops are now.
        """
        if not (self._awaits_validation or rewinds):
            return
        with replaced(*self._counters):
            loops = trainer.fit_loop.state_dict()
        if self._awaits_validation:
            loops.update(_before_validation(loops))
        checkpoint["loops"]["fit_loop"] = loops

    def _count_changes(self) -> int:
        """Returns how often autograd has seen the tensors change."""
        return sum(tensor._version for tensor in self._tensors)


def _tensors(trainer: Trainer) -> Iterator[Tensor]:
    module = trainer.lightning_module
    states = (state for optimizer in trainer.optimizers for state in optimizer.state.values())
    kept = (held for state in states for held in state.values() if isinstance(held, Tensor))
    for tensor in (*module.parameters(), *module.buffers(), *kept):
        yield getattr(tensor, "_local_tensor", tensor)  # the shard that this process holds


def _counters(owner: Any) -> Iterator[tuple[Any, str, Any]]:
    """Yields all numbers of a loop, its progress and the loops inside that a checkpoint holds."""
    for name, value in vars(owner).items():
        if isinstance(value, _Loop | _BaseProgress):
            yield from _counters(value)
        elif isinstance(owner, _BaseProgress) or name == "_batches_that_stepped":
            yield owner, name, value


def _before_validation(loops: dict[str, Any]) -> dict[str, Any]:
    """Returns what makes Lightning resume with a validation, of which no batch is done.

    It skips a validation that falls on the step of a checkpoint, unless one was interrupted.
    """
    batches, validation = "epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress"
    ended = {
        name: {**loops[batches][name], "completed": loops[batches][name]["processed"]}
        for name in ("total", "current")
    }
    done = loops[validation]["total"]["completed"]
    begun = {"ready": done + 1, "started": done + 1, "processed": done, "completed": done}
    fresh = {"total": begun, "current": dict.fromkeys(begun, 0), "is_last_batch": False}
    return {batches: {**loops[batches], **ended}, validation: fresh}
