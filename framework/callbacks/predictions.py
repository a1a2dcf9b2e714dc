"""Writes predictions as JSON lines, one file per process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from lightning.pytorch import Callback, LightningModule, Trainer


class Predictions(Callback):
    """Writes the rows that `predict_step` returns into the log directory, and prints the path.

    Each process writes its own file (`predictions-0.jsonl`, …), which gets this name when it is
    complete.
    """

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self._path = Path()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the file under a temporary name."""
        directory = Path(trainer.log_dir or ".").resolve()
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"predictions-{trainer.global_rank}.jsonl"
        self._file = self._temporary.open("w", encoding="utf-8")

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Writes the rows of a batch."""
        assert self._file is not None
        for row in outputs:
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gives the file its final name."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._temporary.replace(self._path)
        print(f"Predictions: {self._path}", flush=True)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Deletes an unfinished file."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._temporary.unlink(missing_ok=True)

    @property
    def _temporary(self) -> Path:
        return self._path.with_suffix(".part")
