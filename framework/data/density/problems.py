"""Regression problems: features with one real outcome each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor
from torch.distributions import Distribution

from components.supports import Interval


class Sample(NamedTuple):
    """Observations of a split."""

    features: Tensor  # [N, F] float32
    outcome: Tensor  # [N] float32


class Problem(ABC):
    """Where features and outcomes come from."""

    @abstractmethod
    def samples(self) -> dict[str, Sample]:
        """Draws or reads the observations of "train", "val" and "test"."""

    @abstractmethod
    def support(self, train: Sample) -> Interval:
        """Returns the range of outcomes that a head should cover."""

    @abstractmethod
    def truth(self, features: Tensor) -> Distribution | None:
        """Returns the true distribution for features `[..., F]`, `None` if it is not known."""

    def mean(self, features: Tensor) -> Tensor | None:
        """Returns the true mean `[...]` for features `[..., F]`, `None` if not known."""
        distribution = self.truth(features)
        return None if distribution is None else distribution.mean
