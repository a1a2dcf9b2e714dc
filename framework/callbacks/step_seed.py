"""Randomness that resumes exactly: each batch has its own seed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer

from framework.data.place import place_of
from framework.evaluation.randomness import reseed


class StepSeed(Callback):
    """Seeds torch before each training batch, so that dropout resumes exactly.

    Random numbers depend on seed, optimizer step, micro-batch and rank only: neither an
    interruption nor an evaluation in between changes them, and no state of a generator needs to be
    saved. The rank is that among processes with different data: those that divide layers must
    draw alike.

    Args:
        seed: Seed of the run; if not given, that of `seed_everything`.
    """

    def __init__(self, seed: int | None = None) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seeds torch on the CPU and the accelerator."""
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0)) if self.seed is None else self.seed
        micro = batch_idx % trainer.accumulate_grad_batches
        where = (seed, trainer.global_step, micro, place_of(trainer)[0])
        reseed(int(np.random.SeedSequence(where).generate_state(1, np.uint64)[0]))
