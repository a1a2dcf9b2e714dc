"""Throughput, use of the hardware and the norm of the gradients, logged as a run goes on."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from framework.callbacks.stopwatch import Step, Stopwatch
from framework.costs.activations import step_costs
from framework.costs.peaks import TERA, peak_of


class Throughput(Stopwatch):
    """Logs `speed/positions_per_s`, `speed/mfu`, `speed/data_wait` and `gradient_norm`.

    They are written with the other scalars, every `log_every_n_steps`: positions that all
    processes predict in a second (tokens of language models); the share of the peak of the
    hardware that the operations of the model take (model FLOPs utilization, without what is
    recomputed); the share of the time in which the first process waited for data; and the norm of
    the gradients of that step, before they are clipped. Validation does not count.

    Args:
        peak: TFLOP/s of one device; by default as published for dense bfloat16, and as measured
            on CPUs.

    Raises:
        ValueError: If `peak` is not positive.

    Source: Chowdhery et al., "PaLM" (arXiv:2204.02311), appendix B: utilization.
    """

    def __init__(self, peak: float | None = None) -> None:
        super().__init__()
        if peak is not None and not peak > 0:
            raise ValueError(f"Throughput: peak={peak} is not positive; give TFLOP/s of a device.")
        self.peak = peak
        self._flops: float | None = None  # of a position
        self._steps: list[Step] = []
        self._norm: float | Tensor = math.nan

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Finds the peak of the device."""
        super().on_train_start(trainer, pl_module)
        self._flops = None
        if self.peak is None and trainer.is_global_zero:
            self.peak, _ = peak_of(pl_module.device, dtype_of(trainer))

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Counts the operations of the first batch, on its shape alone."""
        if self._flops is None and trainer.is_global_zero:
            self._flops = flops_per_position(trainer, pl_module, batch)

    def on_gradients(
        self, trainer: Trainer, pl_module: LightningModule, loss: float, norm: Tensor
    ) -> None:
        """Notes the norm, which is read when it is logged."""
        self._norm = norm

    def on_step(self, trainer: Trainer, pl_module: LightningModule, step: Step) -> None:
        """Logs means over the steps since the last time."""
        self._steps.append(step)
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]  # set from outside
        if every and trainer.global_step % every == 0:
            scalars = self._scalars(trainer.world_size)
            for logger in trainer.loggers:
                logger.log_metrics(scalars, step=trainer.global_step)
            self._steps = []

    def _scalars(self, world: int) -> dict[str, float]:
        seconds, waited, positions = map(sum, zip(*self._steps, strict=True))
        rate = positions / seconds
        scalars = {"speed/positions_per_s": rate, "speed/data_wait": waited / seconds}
        if self.peak and self._flops:
            scalars["speed/mfu"] = rate * self._flops / (self.peak * TERA * world)
        return {**scalars, "gradient_norm": float(self._norm)}


def dtype_of(trainer: Trainer) -> torch.dtype:
    """Returns the type in which matrices are multiplied, bfloat16 or float32."""
    return torch.bfloat16 if "bf16" in str(trainer.precision) else torch.float32


def flops_per_position(trainer: Trainer, module: LightningModule, batch: Any) -> float:
    """Counts operations of forward and backward pass for a position; 0 if that is impossible.

    Args:
        trainer: The trainer, which knows the precision.
        module: A `PredictiveModule`.
        batch: A batch of the process.
    """
    try:
        costs = step_costs(module, batch, trainer.precision_plugin)  # type: ignore[arg-type]
    except ValueError as error:
        print(f"Utilization is not measured: {error}", flush=True)
        return 0.0
    return costs.flops_per_position
