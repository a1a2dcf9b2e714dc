"""Endless sequences of feature vectors and outcomes, drawn from a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from components.data import SequenceBatch, SequenceSpec
from framework.data.module import Dataset, DrawnDataset, EndlessData
from framework.tasks.lagged_sines.processes import SequenceProcess

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


class SequenceData(EndlessData):
    """Serves sequences of a process; no training sequence occurs twice.

    Training sequence k is a function of the seed and of k alone: resumed, divided among processes
    or read by models of any kind, a run sees the same. Those to validate and test on are the same
    for every seed.

    Args:
        source: Where the sequences come from.
        length: Positions of a sequence, at least 1.
        validation: Sequences to validate on, and as many to test on, at least 1.
        options: Batch sizes, workers and seed, as in `PredictiveData`.

    Raises:
        ValueError: If there would be no sequence or no position.
    """

    def __init__(
        self,
        source: SequenceProcess,
        length: int = 64,
        validation: int = 1024,
        **options: Unpack[DataOptions],
    ) -> None:
        super().__init__(**options)
        if length < 1 or validation < 1:
            raise ValueError(
                f"SequenceData draws nothing with length={length}, validation={validation}; use "
                "at least 1 of each."
            )
        self.source, self.length, self.validation = source, length, validation

    @property
    def spec(self) -> SequenceSpec:
        """Range of the outcomes, number of features, and length."""
        return SequenceSpec(self.source.support, self.source.features, self.length)

    def dataset(self, split: str) -> Dataset:
        """Returns the sequences of a split; those to predict are those to test on."""
        return DrawnSequences(self.source, self.length, split, self.seed, self.validation)

    def task(self, batch: SequenceBatch) -> Tensor:
        """Returns which positions belong to the task, `[B, T]` bool."""
        return self.source.task(batch.features)

    def regressors(self, batch: SequenceBatch) -> dict[str, Tensor]:
        """Returns quantities that a hidden state may hold before they are needed, `[B, T]`."""
        return self.source.regressors(batch.features)


class DrawnSequences(DrawnDataset):
    """Sequences of a process.

    Args:
        source: The process.
        length: Positions of a sequence.
        split: The split.
        seed: Seed of the training sequences.
        size: Number of sequences to evaluate on.
    """

    def __init__(
        self, source: SequenceProcess, length: int, split: str, seed: int, size: int
    ) -> None:
        super().__init__(split, seed, size)
        self.source, self.length = source, length

    def __getitems__(self, indices: list[int]) -> SequenceBatch:
        """Draws features `[B, T, F]` and outcomes `[B, T]`."""
        drawn = [self.source.draw(rng, self.length) for rng in self.generators(indices)]
        features, target = (
            torch.from_numpy(np.stack(values)).float() for values in zip(*drawn, strict=True)
        )
        return SequenceBatch(features, target, torch.ones_like(target))
