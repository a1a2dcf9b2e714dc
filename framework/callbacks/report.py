"""A table of the last metrics of a run, and pictures of its predictions."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from torch import Tensor, nn

from framework.callbacks.pictures import save, show
from framework.data.baselines import NONE, Baselines
from framework.data.module import PredictiveData
from framework.metric_tables import rows_by_stage, with_baselines
from framework.run_files import BASELINES, write_metrics
from framework.tables import table

SECONDS = 10  # between two collections of garbage, at least; one takes 0.2
OUTSIDE = 0.05  # share of the targets from which it is said


class MetricsReport(Callback):
    """Prints the last metrics when a run ends, and draws `module.figures` of one fixed batch.

    The batch is the first of the first validation (or test) loader. Its figures are sent to
    TensorBoard after each validation, and saved as PNG files in the log directory at the end. The
    metrics are saved there as `metrics.json`, with the numbers of parameters and, after training,
    of steps and of seconds that this process took. All processes compute the figures, the first
    one writes. Simple predictions that the data score, such as the seasonal naive forecast, have a
    column each in the table, over the same examples; in the file they are
    `baselines/seasonal naive/val/mase` and so on.
    """

    def __init__(self) -> None:
        self._figures: Mapping[str, Figure] = {}
        self._collected = self._started = time.monotonic()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Turns off the table that Lightning prints itself."""
        trainer.validate_loop.verbose = trainer.test_loop.verbose = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draws the first batch."""
        if batch_idx == 0 and dataloader_idx == 0 and not trainer.sanity_checking:
            self._draw(trainer, pl_module, batch)

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draws the first batch."""
        if batch_idx == 0 and dataloader_idx == 0:
            self._draw(trainer, pl_module, batch)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the last metrics of training and validation, and saves the pictures."""
        self._close(trainer, pl_module, f"Metrics after {trainer.global_step} steps")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the metrics of `validate`, and saves the pictures."""
        if trainer.state.fn == "validate":
            self._close(trainer, pl_module, "Metrics of the validation")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prints the metrics of `test`, and saves the pictures."""
        self._close(trainer, pl_module, "Metrics of the test")

    def _draw(self, trainer: Trainer, pl_module: LightningModule, batch: Any) -> None:
        strategy, model = trainer.strategy, cast(nn.Module, trainer.strategy.model)
        with trainer.precision_plugin.forward_context():  # as in a validation step
            # Through the wrapper, if the strategy has one: FSDP gathers the parameters in there.
            drawn: Any = strategy._forward_redirection(model, pl_module, "figures", batch)
        self._figures = drawn
        self._free_earlier()
        if trainer.is_global_zero:
            show(trainer, self._figures)

    def _free_earlier(self) -> None:
        """Frees earlier figures: 4 MB each, whose parts refer to each other."""
        if time.monotonic() - self._collected > SECONDS:
            gc.collect()
            self._collected = time.monotonic()

    def _close(self, trainer: Trainer, module: nn.Module, title: str) -> None:
        directory = trainer.log_dir  # collective: called on every process
        if not trainer.is_global_zero:
            return
        rows = rows_by_stage(trainer.callback_metrics)
        if len(rows) > 1:
            found = baselines(trainer)
            rows = with_baselines(rows, found.scores)
            print(table(title, rows), flush=True)
            notes = [*found.notes, *uncovered(trainer.callback_metrics), *_unvalidated(trainer)]
            print(*notes, sep="\n", end="\n" if notes else "", flush=True)
            numbers = {k: float(v) for k, v in trainer.callback_metrics.items() if "/" in k}
            numbers |= _noted(found, trainer)
            numbers["parameters"] = sum(parameter.numel() for parameter in module.parameters())
            if trainer.state.fn == "fit":
                numbers["steps"] = trainer.global_step
                numbers["seconds"] = round(time.monotonic() - self._started, 1)
            write_metrics(Path(directory or "."), numbers)
        save(directory, self._figures)
        self._figures = {}


def uncovered(metrics: Mapping[str, Tensor]) -> list[str]:
    """Says that many targets lie where the head has no probability, as its scores do not."""
    rates = {stage: metrics.get(f"{stage}/out_of_support") for stage in ("val", "test")}
    return [
        f"{float(rate):.1%} of the targets ({stage}) lie outside of what the head covers, and are "
        "scored as its ends; widen the interval of the data, or choose a head without bounds."
        for stage, rate in rates.items()
        if rate is not None and float(rate) > OUTSIDE
    ]


def _unvalidated(trainer: Trainer) -> list[str]:
    """Says that a run ended before its first validation, which leaves no best checkpoint."""
    first = trainer.val_check_interval
    validates = bool(trainer.limit_val_batches) and trainer.state.fn == "fit"
    validated = any(name.startswith("val/") for name in trainer.callback_metrics)
    if validated or not validates or not isinstance(first, int):
        return []
    return [
        f"Not validated: the run ended after {trainer.global_step} steps, before the first "
        f"validation (trainer.val_check_interval={first}); set it lower for a best checkpoint."
    ]


def _noted(found: Baselines, trainer: Trainer) -> dict[str, float]:
    """Names the scores of simple predictions in metrics that were measured."""
    split = "test" if trainer.state.fn == "test" else "val"
    return {
        f"{BASELINES}{name}/{split}/{metric}": score
        for name, scores in found.scores.items()
        for metric, score in scores.items()
        if f"{split}/{metric}" in trainer.callback_metrics
    }


def baselines(trainer: Trainer) -> Baselines:
    """Scores simple predictions of what the trainer validated or tested on last."""
    tested = trainer.state.fn == "test"
    split, batches = (
        ("test", trainer.num_test_batches) if tested else ("val", trainer.num_val_batches)
    )
    pairs = (key.split("/", 1) for key in trainer.callback_metrics if "/" in key)
    metrics = {name for stage, name in pairs if stage == split}
    data = trainer.datamodule  # type: ignore[attr-defined]  # set from outside
    return data.baselines(split, batches, metrics) if isinstance(data, PredictiveData) else NONE
