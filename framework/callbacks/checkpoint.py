"""The checkpoints of a run: the best by validation, and the last."""

from __future__ import annotations

from typing import Any, Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class Checkpoint(ModelCheckpoint):
    """Keeps the best model (`best.ckpt`) and the last one (`last.ckpt`).

    Lightning's `ModelCheckpoint` updates `last.ckpt` only when the monitored metric improves, and
    not at the end of a run.

    Args:
        monitor: Logged metric by which models are compared.
        mode: Whether a small or a large value is better.
        save_top_k: How many of the best models to keep; 0 keeps the last one only.
        every_n_train_steps: Interval in optimizer steps at which the last model is also written;
            it always is after validation and at the end.
        dirpath: Folder, by default `checkpoints` in the folder of the run.
    """

    def __init__(
        self,
        monitor: str = "val/nll",
        mode: Literal["min", "max"] = "min",
        save_top_k: int = 1,
        every_n_train_steps: int | None = None,
        dirpath: str | None = None,
    ) -> None:
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            save_top_k=save_top_k,
            save_last=True,
        )
        self._every = every_n_train_steps
        self._last_step = -1

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Writes the last one every `every_n_train_steps`."""
        step = trainer.global_step
        if self._every and step and step % self._every == 0 and step != self._last_step:
            self._write_last(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes both after every validation; the last one then knows which is the best."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            if not trainer.fast_dev_run:  # type: ignore[attr-defined]
                self._save_topk_checkpoint(trainer, self._monitor_candidates(trainer))
            self._write_last(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes nothing: models are compared after validation."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the last one, unless no step was taken since."""
        if trainer.global_step and trainer.global_step != self._last_step:
            self._write_last(trainer)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the record of the best models, if the run resumes in the same folder."""
        if state_dict.get("dirpath") == self.dirpath:
            super().load_state_dict(state_dict)

    def _write_last(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            self._save_last_checkpoint(trainer, self._monitor_candidates(trainer))
            self._last_step = trainer.global_step
