"""Density regression: feature vectors with one real outcome each."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.data import DensityBatch, DensitySpec
from framework.data.density.problems import Observations, Problem
from framework.data.module import Dataset, InMemory, PredictiveData

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


class DensityData(PredictiveData):
    """Serves observations of a regression problem; outcomes are raw, in their own unit.

    Args:
        source: Where the observations come from.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    def __init__(self, source: Problem, **options: Unpack[DataOptions]) -> None:
        super().__init__(**options)
        self.source = source

    @property
    def spec(self) -> DensitySpec:
        """Range of the outcome, and number of features."""
        train = self._samples["train"]
        return DensitySpec(self.source.support(train), train.features.shape[-1])

    def dataset(self, split: str) -> Dataset:
        """Returns the observations of a split; those to predict are the test observations."""
        features, outcome = self._samples["test" if split == "predict" else split]
        target = outcome.unsqueeze(-1)
        return InMemory(DensityBatch(features, target, torch.ones_like(target)))

    def truth(self, batch: DensityBatch) -> Distribution | None:
        """Returns the true distribution, batch shape `[B, 1]`, None if the source lacks it."""
        return self.source.truth(batch.features.unsqueeze(1))

    def mean(self, batch: DensityBatch) -> Tensor | None:
        """Returns the true mean of the outcomes, `[B, 1]`, None if the source lacks it."""
        return self.source.mean(batch.features.unsqueeze(1))

    @cached_property
    def _samples(self) -> dict[str, Observations]:
        return self.source.samples()
