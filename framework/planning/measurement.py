"""Measures steps of a real run after some to warm up, and ends it."""

from __future__ import annotations

import resource
import sys
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from framework.callbacks.stopwatch import Step, Stopwatch
from framework.callbacks.throughput import dtype_of, flops_per_position
from framework.costs.peaks import TERA, peak_of
from framework.planning.plan import in_bytes


@dataclass(frozen=True)
class Speed:
    """What was measured.

    Args:
        steps: Steps that were measured.
        processes: Processes that took them.
        step_seconds: Median time of a step.
        positions_per_s: Positions of a step, of all processes, in that time.
        data_wait: Share of the time in which the first process waited for data.
        flops_per_position: Operations of forward and backward pass; 0 if they cannot be counted.
        peak_tflops: TFLOP/s of one device, None if not known.
        peak_from: Where the peak is from.
        memory: Most bytes of the first process: allocated on a GPU, else resident.
    """

    steps: int
    processes: int
    step_seconds: float
    positions_per_s: float
    data_wait: float
    flops_per_position: float
    peak_tflops: float | None
    peak_from: str
    memory: int

    @property
    def mfu(self) -> float | None:
        """Share of the peak that the operations of the model take, None if it is not known."""
        if not self.peak_tflops or not self.flops_per_position:
            return None
        peak = self.peak_tflops * TERA * self.processes
        return self.positions_per_s * self.flops_per_position / peak

    def as_dict(self) -> dict[str, Any]:
        """Returns the numbers in plain types."""
        return {**asdict(self), "mfu": self.mfu}

    def rows(self) -> list[list[str]]:
        """Returns the rows of a table, the header first."""
        used = "not known" if self.mfu is None else f"{self.mfu:.1%}"
        peak = "not known" if self.peak_tflops is None else f"{self.peak_tflops:.4g} TFLOP/s"
        return [
            ["of a step", "measured"],
            ["time", f"{self.step_seconds * 1000:.4g} ms"],
            ["positions per second", f"{self.positions_per_s:,.0f}"],
            ["waiting for data", f"{self.data_wait:.1%}"],
            ["model FLOPs utilization", used],
            [f"peak ({self.peak_from})", peak],
            ["most memory of a process", in_bytes(self.memory)],
        ]


class Measurement(Stopwatch):
    """Measures steps, and ends the run after them.

    Args:
        warmup: Steps before them.
        steps: Their number.
        peak: TFLOP/s of a device, None for that which is published or measured.
    """

    def __init__(self, warmup: int, steps: int, peak: float | None) -> None:
        super().__init__()
        self.warmup, self.steps, self.peak = warmup, steps, peak
        self._taken: list[Step] = []
        self._flops: float | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Counts the operations of the first batch; the first step is not measured."""
        if self._flops is None and trainer.is_global_zero:
            self._flops = flops_per_position(trainer, pl_module, batch)

    def on_step(self, trainer: Trainer, pl_module: LightningModule, step: Step) -> None:
        """Keeps the step."""
        self._taken.append(step)
        trainer.should_stop = len(self._taken) >= self.warmup + self.steps

    def speed(self, trainer: Trainer) -> Speed:
        """Returns what was measured.

        Raises:
            ValueError: If the run ended before.
        """
        steps = self._taken[self.warmup :]
        if not steps:
            raise ValueError(
                f"The run ended after {trainer.global_step} steps, before any was measured; set "
                f"trainer.max_steps above {self.warmup + 1}, or a smaller --warmup."
            )
        seconds = median(step.seconds for step in steps)
        device = trainer.strategy.root_device
        found, source = peak_of(device, dtype_of(trainer))
        return Speed(
            steps=len(steps),
            processes=trainer.world_size,
            step_seconds=seconds,
            positions_per_s=median(step.positions for step in steps) / seconds,
            data_wait=sum(step.waited for step in steps) / sum(step.seconds for step in steps),
            flops_per_position=self._flops or 0.0,
            peak_tflops=found if self.peak is None else self.peak,
            peak_from=source if self.peak is None else "as given",
            memory=_memory(device),
        )


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
