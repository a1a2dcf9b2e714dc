"""What a long run keeps: memory over 20,000 small steps with validations and checkpoints.

It is the recipe `two_peaks` on the command line, with a picture every 500 steps. Python frees
pictures late, as their parts refer to each other, so memory rises and falls; what counts is the
least that is in use in a window of steps. `python -m benchmarks.memory 4000` takes fewer steps.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lightning.pytorch import Callback, Trainer

import cli
from benchmarks.scoreboard import Figure, report

STEPS = 20_000
EVERY = 500  # steps between two validations, and two checkpoints
SAMPLED = 100  # steps between two readings of the memory

READINGS: list[tuple[int, float]] = []  # step, MB


class Memory(Callback):
    """Reads the memory of this process as it trains."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Reads it every few steps."""
        if trainer.global_step % SAMPLED == 0:
            READINGS.append((trainer.global_step, resident()))


def resident() -> float:
    """Returns the memory of this process that is neither swapped out nor a file, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def least(first: int, last: int) -> float:
    """Returns the least memory in use between two steps."""
    return min(memory for step, memory in READINGS if first < step <= last)


def figures(steps: int) -> Iterator[Figure]:
    """Measures growth between the second and the last quarter, and what is written of events."""
    warnings.filterwarnings("ignore")
    with TemporaryDirectory() as folder:
        words = {
            "config": "two_peaks",
            "trainer.accelerator": "cpu",
            "trainer.max_steps": steps,
            "trainer.val_check_interval": EVERY,
            "trainer.enable_progress_bar": "false",
            "trainer.default_root_dir": folder,
            "trainer.callbacks": "benchmarks.memory.Memory",
            "checkpoint.every_n_train_steps": EVERY,
        }
        cli.main(["fit", *(f"--{name}={value}" for name, value in words.items())])
        events = sum(path.stat().st_size for path in Path(folder).rglob("events.*"))
        kept = len(list(Path(folder).rglob("step=*.ckpt")))
    quarter = steps // 4
    early, late = least(quarter, 2 * quarter), least(3 * quarter, steps)
    yield Figure("memory_MB", late, "<=", 700)
    yield Figure("growth_MB_per_1000_steps", (late - early) / (2 * quarter) * 1000, "<=", 0.5)
    yield Figure(
        "most_above_least_MB", max(m for s, m in READINGS if s > quarter) - early, "<=", 80
    )
    yield Figure("events_bytes_per_step", events / steps, "<=", 400)
    yield Figure("checkpoints_kept", kept, "<=", 2)


if __name__ == "__main__":
    from benchmarks.memory import figures as measure  # the module that the callback belongs to

    report(measure(int(sys.argv[1]) if len(sys.argv) > 1 else STEPS))
