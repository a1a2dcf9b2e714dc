"""The logger of every run: TensorBoard, without cards and runs that say nothing."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from typing import Any

from lightning.fabric.loggers.logger import _DummyExperiment
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

__all__ = ["QuietTensorBoardLogger"]  # the face of this module: short names of the command line

LEFT_OUT = ("epoch",)  # Lightning logs it beside everything; steps are what runs are counted in


class QuietTensorBoardLogger(TensorBoardLogger):
    """Logs to TensorBoard, but not the number of the epoch, and no evaluations.

    Args:
        options: Those of Lightning's `TensorBoardLogger`.
    """

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Writes numbers of a step, if there are some besides the epoch."""
        kept = {name: value for name, value in metrics.items() if name not in LEFT_OUT}
        if kept:
            super().log_metrics(kept, step)

    def without_events(self) -> TensorBoardLogger:
        """Returns a logger that has the same folder, for files of others, and writes nothing.

        `validate`, `test` and `predict` leave their numbers there; a file of events in it would be
        a run of its own in TensorBoard, with one point in each card.
        """
        return _Folder(self.save_dir, self.name, version=self._version, sub_dir=self.sub_dir)


def without_events(logger: Logger) -> Logger:
    """Returns what an evaluation logs to: other loggers, which were asked for, as they are."""
    return logger.without_events() if isinstance(logger, QuietTensorBoardLogger) else logger


class _Folder(TensorBoardLogger):
    """Knows a folder, and writes nothing."""

    @property
    def experiment(self) -> Any:
        """Takes everything and does nothing."""
        return _DummyExperiment()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Does nothing."""

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, metrics: Any = None, step: int | None = None
    ) -> None:
        """Does nothing."""

    def log_graph(self, model: Any, input_array: Any = None) -> None:
        """Does nothing."""

    def save(self) -> None:
        """Does nothing."""

    def finalize(self, status: str) -> None:
        """Does nothing."""
