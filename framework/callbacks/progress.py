"""The progress of training: a bar in a terminal, a line now and then in a file or a pipe."""

from __future__ import annotations

import math
import sys
from datetime import timedelta
from time import perf_counter
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import TQDMProgressBar

from framework.data.place import place_of

FIRST_LINE = 0.01  # of the steps of the run
SECONDS = 30  # between two lines, at least


class Progress(TQDMProgressBar):
    """Shows the steps taken out of those of the run, loss and predicted positions per second.

    Where the output is not a terminal, there is no bar: a line is printed after 1 % of the steps,
    then every 30 seconds, and at the end.

    Args:
        every: Steps between updates, at least 1; 0 shows neither bar nor lines.
    """

    def __init__(self, every: int = 10) -> None:
        super().__init__(refresh_rate=every)
        self._positions = 0
        self._since = perf_counter()
        self._rate = math.nan
        self._prints = False  # lines
        self._start = self._printed = (0, 0.0)  # step and time

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Turns the bar off without a terminal, and on all processes but the first."""
        super().setup(trainer, pl_module, stage)
        if not sys.stdout.isatty():
            self._prints = self._prints or self.is_enabled
            self.disable()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Notes where the run starts, which is not at step 0 if it is resumed."""
        super().on_train_start(trainer, pl_module)
        if self._prints:
            self._start = self._printed = (trainer.global_step, perf_counter())

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
        self._positions += batch.weight.numel() * place_of(trainer)[1]
        step, bar = trainer.global_step, self.train_progress_bar
        if step > bar.n and self._should_update(step, bar.total):
            self._measure()
            bar.n = step
            bar.set_postfix(self.get_metrics(trainer, pl_module))
        if self._prints and self._is_time(step, self._total()):
            self._print(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the last step."""
        super().on_train_end(trainer, pl_module)
        if self._prints and trainer.global_step > self._printed[0]:
            self._print(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restarts the clock: the time of validation does not count."""
        super().on_validation_end(trainer, pl_module)
        self._positions, self._since = 0, perf_counter()

    def _measure(self) -> None:
        """Computes the throughput since the last time."""
        self._rate = self._positions / (perf_counter() - self._since)
        self._positions, self._since = 0, perf_counter()

    def _total(self) -> int:
        """Returns the steps of the run, 0 if they are not known."""
        total = self.train_progress_bar.total or 0
        return int(total) if math.isfinite(total) else 0

    def _is_time(self, step: int, total: int) -> bool:
        printed, then = self._printed
        if step == printed:
            return False
        is_first = printed == self._start[0] and total > 0
        if is_first and step - printed >= FIRST_LINE * (total - printed):
            return True
        return perf_counter() - then >= SECONDS

    def _print(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints `step 120 of 1000, loss 7.651, val 7.66, positions/s 5,120, 0:01:23 left`."""
        if self._positions:  # none were seen since a validation
            self._measure()
        step, total = trainer.global_step, self._total()
        now = perf_counter()
        first, start = self._start
        shown = [f"step {step} of {total}" if total > 0 else f"step {step}"]
        shown += [
            f"{name} {value}" for name, value in self.get_metrics(trainer, pl_module).items()
        ]
        if total > step > first:
            left = (now - start) / (step - first) * (total - step)
            shown.append(f"{timedelta(seconds=round(left))} left")
        self._printed = (step, now)
        print(", ".join(shown), flush=True)

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
