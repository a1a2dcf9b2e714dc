"""A callback that measures during training how much of the gradient serves the future."""

from __future__ import annotations

from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from framework.callbacks.pictures import save, show
from framework.modules.base import PredictiveModule
from framework.papers.myopic.figures import draw_gradients
from framework.papers.myopic.gradients import ALL, FutureGradient, GradientParts
from framework.papers.myopic.reports import scalars

NAME = "gradients"  # name of the picture


class FutureGradients(Callback):
    """Splits the gradient of some batches into a part for the present and one for the future.

    Logs the norms of the whole gradient (`gradient/total`) and of both parts (`gradient/myopic`,
    `gradient/future`), and the cosine of the parts (`gradient/cosine`); the same for each block,
    as `gradient/total/block 1`. At the end a picture of them goes to TensorBoard and to the log
    directory. Training is not changed, to the bit. A measured batch costs four further passes,
    without dropout and in full precision; of an optimizer step of several micro-batches, the first
    is measured. It works for vanilla and for myopic training.

    Args:
        every: Optimizer steps from one measurement to the next, at least 1; the first is measured.
        constant: What of the past is constant for the present, the hidden states or the keys and
            values.
        everything: Measure stem, head and embeddings too, not only the rest of the backbone.

    Raises:
        ValueError: If `every` is not positive; when training starts, if the attention of the
            backbone cannot be exchanged, or parameters are sharded.
    """

    def __init__(
        self,
        every: int = 100,
        constant: Literal["hidden", "keys"] = "hidden",
        everything: bool = False,
    ) -> None:
        if every < 1:
            raise ValueError(f"FutureGradients: every={every} is not positive; use 1 or more.")
        self.every, self.constant, self.everything = every, constant, everything
        self._history: dict[int, GradientParts] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Prepares the measurement, once parameters are on their device."""
        assert isinstance(pl_module, PredictiveModule)
        self._gradient = FutureGradient(pl_module, self.constant, self.everything)
        self._history = {}

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Measures a batch every so many steps, before the step that it leads to."""
        step = trainer.global_step
        if step % self.every or batch_idx % trainer.accumulate_grad_batches:
            return
        device = pl_module.device
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            trainer.precision_plugin.forward_context(),
            torch.autocast(device.type, enabled=False),
        ):
            parts = self._gradient.measure([batch])
        self._history[step] = parts[ALL]
        found = scalars(parts)
        pl_module.log_dict(found, logger=False)
        for logger in trainer.loggers:
            logger.log_metrics(found, step)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draws the measurements."""
        directory = trainer.log_dir  # a collective: every process calls it
        if not (trainer.is_global_zero and self._history and trainer.loggers):
            return
        parts = list(self._history.values())
        figure = draw_gradients(list(self._history), parts, "optimizer steps")
        show(trainer, {NAME: figure})
        save(directory, {NAME: figure})
