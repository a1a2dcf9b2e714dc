"""What the house costs: the language recipe against a plain loop over the same modules.

Both train the same initial weights on the same batches with the same optimizer; they take turns in
one process. The time of a step is the median over a stretch, from one step's end to the next.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from benchmarks.scoreboard import Figure, interleaved, report
from components import Decoder, LinearHead, NegativeLogLikelihood, TokenStem
from framework.data import StateOfTheUnion, TokenData
from framework.modules import LanguageModel
from framework.schedules import WarmupCosine

STEPS = 12  # of a stretch; the first two are not counted
UNCOUNTED = 2
ROUNDS = 4


class Clock(Callback):
    """Notes when each training step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        """Notes the time."""
        self.ends.append(time.perf_counter())


def decoder() -> Decoder:
    """Builds the backbone of the language recipe."""
    return Decoder(dim=256, depth=4, heads=4)


def adamw(groups: Any) -> torch.optim.Optimizer:
    """Builds the optimizer of the language recipe."""
    return torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.95), weight_decay=0.1)


def median_step(ends: list[float]) -> float:
    """Returns the median seconds between the ends of the counted steps."""
    counted = ends[UNCOUNTED:]
    return statistics.median(after - before for before, after in pairwise(counted))


def model(data: TokenData) -> LanguageModel:
    """Makes the module of the language recipe."""
    return LanguageModel(
        spec=data.spec,
        stem=TokenStem,
        backbone=decoder,
        head=LinearHead,
        losses={"nll": NegativeLogLikelihood},
        optimizer=adamw,
        schedule=WarmupCosine,
    )


def under_the_trainer(data: TokenData, folder: str) -> Callable[[], float]:
    """Returns a stretch of training as users run it, with logging and clipping."""

    def stretch() -> float:
        clock = Clock()
        trainer = Trainer(
            default_root_dir=folder,
            max_steps=STEPS,
            max_epochs=-1,
            accelerator="cpu",
            gradient_clip_val=1.0,
            limit_val_batches=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=10,
            callbacks=[clock],
        )
        seed_everything(1, verbose=False)
        trainer.fit(model(data), datamodule=data)
        return median_step(clock.ends)

    return stretch


def plain_loop(data: TokenData) -> Callable[[], float]:
    """Returns the same stretch, as one would write it by hand."""

    def stretch() -> float:
        seed_everything(1, verbose=False)
        module = model(data)
        module.configure_model()
        optimizer = adamw(module.parameters())
        batches: Iterator[Any] = iter(data.train_dataloader())
        ends = []
        for _ in range(STEPS):
            ends.append(step(module, optimizer, next(batches)))
        return median_step(ends)

    return stretch


def step(module: LightningModule, optimizer: torch.optim.Optimizer, batch: Any) -> float:
    """Takes one training step and returns when it ended."""
    prediction = module(batch)
    loss = -(prediction.log_prob(batch.target) * batch.weight).sum() / batch.weight.sum()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return time.perf_counter()


def figures() -> Iterator[Figure]:
    """Measures the throughput of the house."""
    warnings.filterwarnings("ignore")
    data = TokenData(StateOfTheUnion(), length=128, batch_size=16)
    with TemporaryDirectory() as folder:
        house, loop = interleaved(
            under_the_trainer(data, str(Path(folder))), plain_loop(data), ROUNDS
        )
    yield Figure("plain_loop_step_ms", 1e3 * loop, ">=", 50)
    yield Figure("throughput_of_the_trainer_over_the_plain_loop", loop / house, ">=", 0.97)


if __name__ == "__main__":
    report(figures())
