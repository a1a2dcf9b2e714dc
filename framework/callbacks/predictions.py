"""Writes predictions as JSON lines: one file, a row per example, in the order of the data."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader

from framework.data.module import Dataset
from framework.run_files import PREDICTIONS

Numbered = dict[int, dict[str, Any]]
"""Rows by the numbers of their examples."""


class Predictions(Callback):
    """Writes the rows that `predict_step` returns into the log directory, and prints the path.

    A row begins with what identifies its example: `id`, and more if the data know more, such as
    the `time` of forecasts. However many processes predict, the first one writes all rows, in the
    order of the data; the file (`predictions.jsonl`) gets this name when it is complete.
    """

    def __init__(self) -> None:
        self._file: IO[str] | None = None
        self._path = Path()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Opens the file under a temporary name."""
        directory = Path(trainer.log_dir or ".").resolve()  # on all ranks: it is broadcast
        if not trainer.is_global_zero:
            return
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / PREDICTIONS
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
        """Writes the rows of the batches that all processes have at this time.

        Raises:
            ValueError: If there is not one row for each example.
        """
        loader = _loader(trainer, dataloader_idx)
        indices = loader.batch_sampler.seen_batch_indices[batch_idx]  # type: ignore[union-attr]  # Lightning's wrapper
        if len(outputs) != len(indices):
            raise ValueError(
                f"{type(pl_module).__name__}.predict_step returned {len(outputs)} rows for "
                f"{len(indices)} examples; return one for each, in their order."
            )
        rows = zip(indices, outputs, strict=True)
        numbered = {k: {**_identity(loader.dataset, k), **row} for k, row in rows}
        everything = _gathered(numbered)
        if self._file is not None:
            for number in sorted(everything):
                self._file.write(json.dumps(everything[number], ensure_ascii=False) + "\n")

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Gives the file its final name."""
        if self._file is None:
            return
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


def _loader(trainer: Trainer, index: int) -> DataLoader[Any]:
    """Returns a loader of the examples to predict, of one or several."""
    loaders: Any = trainer.predict_dataloaders
    loader: DataLoader[Any] = loaders[index] if isinstance(loaders, list) else loaders
    return loader


def _identity(dataset: Any, number: int) -> dict[str, Any]:
    return dataset.identify(number) if isinstance(dataset, Dataset) else {"id": number}


def _gathered(rows: Numbered) -> Numbered:
    """Joins the rows of all processes; some may have the same, such as those of a shard."""
    if not dist.is_initialized():
        return rows
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, rows)
    return {number: row for part in parts for number, row in part.items()}
