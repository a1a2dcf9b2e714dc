"""The checkpoints of a run: the best by validation, and the last ones."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from framework import checkpoint_files
from framework.checkpoint_io import Action, DurableCheckpointIO, install
from framework.execution import own_shares
from framework.interruptions.boundary import StepBoundary


class Checkpoint(ModelCheckpoint):
    """Keeps the best model (`best.ckpt`) and the last ones (`step=N.ckpt`, the last: `last.ckpt`).

    Lightning's `ModelCheckpoint` updates `last.ckpt` only when the monitored metric improves, and
    not at the end of a run. Here a checkpoint has its name when it is complete and on the disk,
    carries a checksum, and never holds parameters that are not finite.

    Args:
        monitor: Logged metric by which models are compared.
        mode: Whether a small or a large value is better.
        save_top_k: How many of the best models to keep; 0 keeps the last ones only.
        keep: How many of the last ones to keep, at least 1. With 2, one is left if a disk damages
            the other.
        every_n_train_steps: Interval in optimizer steps at which the last model is also written;
            it always is after validation and at the end.
        every_minutes: Interval in minutes at which it is also written, after a step.
        asynchronous: Write while training goes on; needs memory for a second copy of the state.
        dirpath: Folder, by default `checkpoints` in the folder of the run.

    Raises:
        ValueError: If `keep` or an interval is not positive.
    """

    def __init__(
        self,
        monitor: str = "val/nll",
        mode: Literal["min", "max"] = "min",
        save_top_k: int = 1,
        keep: int = 2,
        every_n_train_steps: int | None = None,
        every_minutes: float | None = None,
        asynchronous: bool = False,
        dirpath: str | None = None,
    ) -> None:
        if keep < 1:
            raise ValueError(f"keep={keep} keeps no checkpoint to go on with; use 1 or more.")
        if every_minutes is not None and not every_minutes > 0:
            raise ValueError(f"every_minutes={every_minutes} is not positive; use 10, or drop it.")
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_top_k=save_top_k,
            save_last=True,
        )
        self.keep, self.every_minutes, self.asynchronous = keep, every_minutes, asynchronous
        self._every = every_n_train_steps
        self._files = DurableCheckpointIO()
        self._kept: list[str] = []  # the last ones of this run, by name and in order
        self._last_step = -1  # of the last one
        self._step, self._written_at = -1, 0.0
        self._has_told = False
        self._boundary, self._rewinds = StepBoundary(), False
        self._resumed_here = False  # from a checkpoint in the folder that is written to
        self._present: set[str] = set()  # names of what is there then

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Finds the folder, and chooses how files are written and read.

        Raises:
            ValueError: If files cannot be written in this way.
        """
        super().setup(trainer, pl_module, stage)
        sharded = getattr(trainer.strategy, "_save_distributed_checkpoint", False)
        if self.asynchronous and sharded:
            raise ValueError(
                "checkpoint.asynchronous=true writes one file, and the strategy writes shards; "
                "drop it, or set save_distributed_checkpoint=false."
            )
        self._files = install(trainer.strategy, self.asynchronous)
        if "://" in str(self.dirpath):
            raise ValueError(
                f"checkpoint.dirpath={self.dirpath} is no folder of this machine; use one, and "
                "copy or mount it."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Removes what an interrupted run has left half written, and starts the clock."""
        self._step, self._written_at = trainer.global_step, time.monotonic()
        if trainer.is_global_zero and self._folder.is_dir():
            checkpoint_files.sweep(self._folder)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Writes the last one every `every_n_train_steps` and every `every_minutes`."""
        step, is_new = trainer.global_step, trainer.global_step != self._step
        self._step = step
        if not is_new:  # gradients are accumulated over several batches
            return
        self._boundary.note(trainer)
        if step == self._last_step:
            return
        if (self._every and step % self._every == 0) or self._is_late(trainer):
            self._write_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes both after every validation; the last one then knows which is the best."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        self._boundary.validated()
        if self._may_write(trainer):
            self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
            self._write_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes nothing: models are compared after validation."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the last one, unless no step was taken since, and waits until it is written."""
        if trainer.global_step and trainer.global_step != self._last_step:
            self._write_last(trainer)
        self._require(trainer, _failure_of(self._files.wait), "the last checkpoint")

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Lets a validation that is due, but not done yet, be done when the run is resumed."""
        self._boundary.correct(trainer, checkpoint, self._rewinds)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Notes whether the run resumes from the folder that it writes to, and what is there."""
        resumed = Path(os.path.abspath(str(trainer.ckpt_path)))
        here = resumed.parent.resolve() == self._folder.resolve()
        names = {path.name for path in self._folder.glob("*")}  # perhaps on one machine only
        self._resumed_here, self._present = trainer.strategy.broadcast((here, names))

    @property
    def newest(self) -> Path | None:
        """The last one of this run, if any."""
        return self._folder / self._kept[-1] if self._kept else None

    def whole_step(self, trainer: Trainer) -> int | None:
        """Returns the step at whose end the model still is, None if it is in the middle of one."""
        return self._boundary.step if self._boundary.is_intact(trainer) else None

    def write_whole_step(self, trainer: Trainer) -> None:
        """Writes the last one as it was at the end of the last step, if the model still is there.

        Args:
            trainer: The trainer, perhaps in the middle of a step or of a validation.

        Raises:
            ValueError: If it cannot be written.
        """
        self._rewinds = True
        try:
            if self.whole_step(trainer) not in (None, self._last_step):
                self._write_last(trainer)
            self._require(trainer, _failure_of(self._files.wait), "the last checkpoint")
        finally:
            self._rewinds = False

    def state_dict(self) -> dict[str, Any]:
        """Returns the record of the best models and the names of the last ones."""
        return {**super().state_dict(), "kept": self._kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the record of the best models, if the run resumes in the same folder.

        It is the same one if the checkpoint lies in it, too, wherever it was before.
        """
        saved = state_dict.get("dirpath")
        if self._resumed_here or (saved and Path(saved).resolve() == self._folder.resolve()):
            super().load_state_dict(self._moved_here(state_dict))
            self._kept = list(state_dict.get("kept", []))
            self._resumed_here = True

    def file_exists(self, filepath: str | Path, trainer: Trainer) -> bool:
        """Returns whether a name is taken, by a model of this run or by another run.

        What the first run of a folder wrote after the checkpoint from which it resumes is not.
        """
        is_first = self._resumed_here and Path(self.last_model_path).name == "last.ckpt"
        is_left = is_first and str(filepath) not in self.best_k_models
        return not is_left and bool(super().file_exists(filepath, trainer))

    def _moved_here(self, record: dict[str, Any]) -> dict[str, Any]:
        """Returns a record of this folder with its present path, without files that are gone."""

        def here(path: str) -> str:
            name = Path(path).name
            return str(self._folder / name) if name in self._present else ""

        best = {here(path): score for path, score in record["best_k_models"].items()}
        best.pop("", None)
        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        there = {name: here(record[name]) for name in paths}
        return {**record, **there, "best_k_models": best, "dirpath": self.dirpath}

    @property
    def _folder(self) -> Path:
        return Path(self.dirpath or "")

    def _is_late(self, trainer: Trainer) -> bool:
        if self.every_minutes is None:
            return False
        late = time.monotonic() - self._written_at >= 60 * self.every_minutes
        return bool(trainer.strategy.broadcast(late))  # clocks differ between processes

    def _write_last(self, trainer: Trainer) -> None:
        if not self._may_write(trainer):
            return
        self.last_model_path = self.last_model_path or self._free_name(trainer)
        last = Path(self.last_model_path)
        name = f"step={trainer.global_step}{last.stem.removeprefix('last')}.ckpt"
        names = [*(other for other in self._kept if other != name), name]
        dropped, self._kept = names[: -self.keep], names[-self.keep :]
        self._save_checkpoint(trainer, str(self._folder / name))
        publish = partial(_publish, self._folder, last.name, name, dropped)
        if trainer.is_global_zero:
            failure = _failure_of(partial(self._files.then, publish))
        else:
            failure = None
        self._require(trainer, failure, name)
        self._last_step, self._written_at = trainer.global_step, time.monotonic()

    def _free_name(self, trainer: Trainer) -> str:
        """Returns the path of `last.ckpt`, or of `last-v1.ckpt` if another run wrote that."""
        names = ("last.ckpt", *(f"last-v{number}.ckpt" for number in range(1, 10_000)))
        paths = (str(self._folder / name) for name in names)
        return str(trainer.strategy.broadcast(next(p for p in paths if not os.path.lexists(p))))

    def _may_write(self, trainer: Trainer) -> bool:
        """Returns whether there is something to keep: all processes agree."""
        if trainer.fast_dev_run:  # type: ignore[attr-defined]
            return False
        finite = trainer.strategy.reduce_boolean_decision(_is_finite(trainer.lightning_module))
        if not finite and not self._has_told and trainer.is_global_zero:
            earlier = f"{self._kept[-1]} is kept" if self._kept else "there is no earlier one"
            print(
                f"No checkpoint is written at step {trainer.global_step}, where parameters are "
                f"not finite; {earlier}.",
                file=sys.stderr,
            )
        self._has_told = not finite
        return bool(finite)

    def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
        failure = None
        try:
            with self._files.deferred():
                super()._save_checkpoint(trainer, filepath)
        except OSError as error:  # where a file is written; other processes wait at a barrier
            failure = error
            trainer.strategy.barrier()
        self._require(trainer, failure, Path(filepath).name)

    def _require(self, trainer: Trainer, failure: OSError | None, name: str) -> None:
        """Ends all processes with one sentence if one could not write."""
        if trainer.strategy.reduce_boolean_decision(failure is None):
            return
        reason = trainer.strategy.broadcast(str(failure and (failure.strerror or failure)))
        last = self._folder / "last.ckpt" if not self.last_model_path else self.last_model_path
        how = f"go on with --ckpt_path {last}" if os.path.exists(last) else "start again"
        raise ValueError(
            f"{name} could not be written into {self._folder} ({reason}); earlier checkpoints are "
            f"as they were: make room, or set checkpoint.dirpath, and {how}."
        ) from failure


def _failure_of(action: Action) -> OSError | None:
    try:
        action()
    except OSError as error:
        return error
    return None


def _is_finite(module: LightningModule) -> bool:
    """Returns whether parameters, or the shards of this process, have no NaN and no infinity."""
    return all(bool(share.isfinite().all()) for _, share in own_shares(module))


def _publish(folder: Path, last: str, name: str, dropped: list[str]) -> None:
    """Makes a checkpoint that was written the last one, and removes those before it."""
    checkpoint_files.link(folder, last, name)
    for other in dropped:
        checkpoint_files.remove(folder / other)
