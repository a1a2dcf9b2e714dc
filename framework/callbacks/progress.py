"""The progress bar: steps to go, loss and throughput."""

from __future__ import annotations

import math
import sys
from time import perf_counter
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar


class Progress(TQDMProgressBar):
    """Shows the steps taken out of those of the run, loss and predicted positions per second.

    There is no bar where the output is not a terminal.

    Args:
        every: Steps between updates, at least 1; 0 shows no bar.
    """

    def __init__(self, every: int = 10) -> None:
        super().__init__(refresh_rate=every)
        self._positions = 0
        self._since = perf_counter()
        self._rate = math.nan

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Turns the bar off without a terminal, and on all processes but the first."""
        super().setup(trainer, pl_module, stage)
        if not sys.stdout.isatty():
            self.disable()

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Starts the bar at the current step, which is not 0 in a resumed run."""
        self.train_progress_bar.reset()
        self.train_progress_bar.total = trainer.estimated_stepping_batches
        self.train_progress_bar.initial = self.train_progress_bar.n = trainer.global_step
        self.train_progress_bar.set_description("Training")
        self._positions, self._since = 0, perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Counts positions and moves the bar to the current optimizer step."""
        self._positions += batch.weight.numel() * trainer.world_size
        step, bar = trainer.global_step, self.train_progress_bar
        if step > bar.n and self._should_update(step, bar.total):
            self._rate = self._positions / (perf_counter() - self._since)
            self._positions, self._since = 0, perf_counter()
            bar.n = step
            bar.set_postfix(self.get_metrics(trainer, pl_module))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restarts the clock: the time of validation does not count."""
        super().on_validation_end(trainer, pl_module)
        self._positions, self._since = 0, perf_counter()

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Returns what the bar shows: the last logged losses and the throughput."""
        shown: dict[str, int | str | float | dict[str, float]] = {
            name: f"{float(trainer.callback_metrics[key]):.4g}"
            for name, key in (("loss", "train/loss"), ("val", "val/nll"))
            if key in trainer.callback_metrics
        }
        if math.isfinite(self._rate):
            shown["positions/s"] = f"{self._rate:,.0f}"
        return shown
