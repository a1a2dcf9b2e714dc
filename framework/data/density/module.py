"""Density regression: feature vectors with one real outcome each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from components.data import DensityBatch, DensitySpec
from framework.checkpoints import trained_spec
from framework.data.density.problems import Observations, Problem
from framework.data.module import Dataset, InMemory, PredictiveData

if TYPE_CHECKING:
    from typing import Unpack

    from framework.data.module import DataOptions


SCALES = "scales"  # where a checkpoint keeps how features were scaled


class Named(InMemory):
    """Observations that go by the names of their source, if it has any.

    Args:
        observations: All of them, in memory.
    """

    def __init__(self, observations: Observations) -> None:
        target = observations.outcome.unsqueeze(-1)
        super().__init__(DensityBatch(observations.features, target, torch.ones_like(target)))
        self.names = observations.names

    def identify(self, index: int) -> dict[str, Any]:
        """Returns the name of an observation as `id`, its number if it has none."""
        return {"id": self.names[index]} if self.names else super().identify(index)


class DensityData(PredictiveData):
    """Serves observations of a regression problem; outcomes are raw, in their own unit.

    Args:
        source: Where the observations come from.
        options: Batch sizes, workers and seed, as in `PredictiveData`.
    """

    def __init__(self, source: Problem, **options: Unpack[DataOptions]) -> None:
        super().__init__(**options)
        self.source = source
        self._trained: DensitySpec | None = None

    @property
    def spec(self) -> DensitySpec:
        """Range of the outcome, and number of features, or those of a checkpoint."""
        if self._trained is not None:
            return self._trained
        train = self._samples["train"]
        return DensitySpec(self.source.support(train), train.features.shape[-1])

    def store(self, checkpoint: dict[str, Any]) -> None:
        """Adds how the source scales features."""
        checkpoint[SCALES] = self.source.scales()

    def restore(self, checkpoint: Mapping[str, Any]) -> None:
        """Takes over how features were scaled, and the range of the outcome.

        Raises:
            ValueError: If the features are others than those of the checkpoint.
        """
        trained = trained_spec(checkpoint, DensitySpec)
        if trained is None:
            return
        self.source.restore(checkpoint.get(SCALES, {}))
        observed = self._samples["train"] if self._unseen is None else self._unseen
        count = observed.features.shape[-1]
        if count != trained.features:
            raise ValueError(
                f"DensityData: {type(self.source).__name__} has {count} features, the model was "
                f"trained with {trained.features}; give the same ones."
            )
        self._trained = trained

    def dataset(self, split: str) -> Dataset:
        """Returns the observations of a split; those to predict are the test ones by default."""
        if split != "predict":
            return Named(self._samples[split])
        return Named(self._samples["test"] if self._unseen is None else self._unseen)

    def truth(self, batch: DensityBatch) -> Distribution | None:
        """Returns the true distribution, batch shape `[B, 1]`, None if the source lacks it."""
        return self.source.truth(batch.features.unsqueeze(1))

    def mean(self, batch: DensityBatch) -> Tensor | None:
        """Returns the true mean of the outcomes, `[B, 1]`, None if the source lacks it."""
        return self.source.mean(batch.features.unsqueeze(1))

    @cached_property
    def _samples(self) -> dict[str, Observations]:
        return self.source.samples()

    @cached_property
    def _unseen(self) -> Observations | None:
        return self.source.unseen()
