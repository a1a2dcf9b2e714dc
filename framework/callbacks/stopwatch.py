"""The time of each training step, and how much of it was spent on waiting for data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from time import perf_counter
from typing import Any, NamedTuple

from lightning.pytorch import Callback, LightningModule, Trainer

from framework.data.place import place_of


class Step(NamedTuple):
    """An optimizer step, with what it read."""

    seconds: float  # from the end of the last one to its own, without validation
    waited: float  # of these, until the batches were there
    positions: int  # that were predicted, by all processes


class Stopwatch(Callback, ABC):
    """Measures every optimizer step but the first, which has no beginning."""

    def __init__(self) -> None:
        self._ended: float | None = None  # when the last step did, or when the clock went on
        self._asked: float | None = None
        self._waited = 0.0
        self._positions = self._step = 0

    @abstractmethod
    def on_step(self, trainer: Trainer, pl_module: LightningModule, step: Step) -> None:
        """Is called after a step, on all processes."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begins to measure how long batches take."""
        self._ended, self._step = None, trainer.global_step
        loop = trainer.fit_loop.epoch_loop
        # Lightning times this for its profilers, and offers no other way to see it.
        before, after = loop._on_before_fetch, loop._on_after_fetch

        def ask() -> None:
            before()
            self._asked = perf_counter()

        def receive() -> None:
            if self._asked is not None:  # a second run of the trainer calls this twice
                self._waited += perf_counter() - self._asked
                self._asked = None
            after()

        loop._on_before_fetch, loop._on_after_fetch = ask, receive  # type: ignore[method-assign]

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Counts positions, and ends a step if the optimizer took it."""
        self._positions += batch.weight.numel() * place_of(trainer)[1]
        if trainer.global_step == self._step:
            return
        now, self._step = perf_counter(), trainer.global_step
        if self._ended is not None:
            measured = Step(now - self._ended, self._waited, self._positions)
            self.on_step(trainer, pl_module, measured)
        self._ended, self._waited, self._positions = now, 0.0, 0

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops the clock."""
        self._paused = perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lets the clock go on."""
        if self._ended is not None:
            self._ended += perf_counter() - self._paused
