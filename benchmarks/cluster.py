"""What safety and several processes cost: checkpoints, resuming, and two ranks against two runs.

The model is that of the language recipe, 4 layers of width 256, with the state of AdamW. All is
timed on the local disk. Two ranks, of one thread each, share batches twice those of two
independent runs; run this while nothing else runs on two cores.
"""

from __future__ import annotations

import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything

from benchmarks.house import STEPS, Clock, median_step, model
from benchmarks.scoreboard import Figure, interleaved, report
from framework import checkpoint_files
from framework.checkpoints import read
from framework.data import StateOfTheUnion, TokenData
from tests.ranks import run_ranks

ROUNDS = 5
MINUTES = 5  # from one checkpoint to the next
BATCH = 8  # of a process
RANKS = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "LOCAL_WORLD_SIZE",
    "GROUP_RANK",
    "TORCHELASTIC_RUN_ID",
)


def trained(batch_size: int, ranks: int) -> tuple[Trainer, float]:
    """Trains for a stretch; returns the trainer and the median seconds of a step."""
    clock = Clock()
    trainer = Trainer(
        max_steps=STEPS,
        max_epochs=-1,
        accelerator="cpu",
        devices=ranks,
        strategy="ddp" if ranks > 1 else "auto",
        use_distributed_sampler=False,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    seed_everything(1, verbose=False)
    data = TokenData(StateOfTheUnion(), length=128, batch_size=batch_size)
    trainer.fit(model(data), datamodule=data)
    return trainer, median_step(clock.ends)


def seconds(function: Callable[[], Any]) -> float:
    """Returns how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def plainly_written(checkpoint: dict[str, Any], path: Path) -> None:
    """Writes as Lightning does by itself: no checksum, and nothing waits for the disk."""
    torch.save(checkpoint, path)


def as_ranks() -> float:
    """Trains in one of two processes that share batches."""
    return trained(2 * BATCH, 2)[1]


def alone() -> float:
    """Trains in a process that knows of no other."""
    for name in RANKS:
        os.environ.pop(name)
    return trained(BATCH, 1)[1]


def slowest(stretch: Callable[[], float]) -> float:
    """Returns the seconds of a step of the slower of two processes."""
    return float(max(run_ranks(stretch, 2, timeout=600)))


def figures() -> Iterator[Figure]:
    """Measures checkpoints, then ranks."""
    warnings.filterwarnings("ignore")
    trainer, step = trained(2 * BATCH, 1)
    checkpoint = trainer._checkpoint_connector.dump_checkpoint(weights_only=False)
    with TemporaryDirectory(dir=".") as folder:
        path, other = Path(folder, "ours.ckpt"), Path(folder, "plain.ckpt")
        ours, plain = interleaved(
            lambda: seconds(lambda: checkpoint_files.save(checkpoint, path)),
            lambda: seconds(lambda: plainly_written(checkpoint, other)),
            ROUNDS,
        )
        load = statistics.median(seconds(lambda: read(path)) for _ in range(ROUNDS))
        size = path.stat().st_size / 1e6
    yield Figure("checkpoint_mb", size, ">=", 30)
    yield Figure("write_over_plain_write", ours / plain, "<=", 5)
    yield Figure(f"write_percent_of_{MINUTES}_minutes", 100 * ours / (60 * MINUTES), "<=", 1)
    yield Figure("write_in_steps", ours / step, "<=", 20)
    yield Figure("read_and_check_in_steps", load / step, "<=", 20)
    ddp, single = interleaved(lambda: slowest(as_ranks), lambda: slowest(alone), ROUNDS)
    yield Figure("two_ranks_over_two_runs", single / ddp, ">=", 0.9)


if __name__ == "__main__":
    torch.set_num_threads(1)
    report(figures())
