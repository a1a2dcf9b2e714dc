"""Regression problems: features with one real outcome each, from a known law or from a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from components.supports import Interval
from framework.data.density.processes import Process

SPLIT_SEED = 42  # of scikit-learn's train_test_split in the paper's experiments


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
        """Returns the true law of the outcome for features `[..., F]`, `None` if not known."""

    def mean(self, features: Tensor) -> Tensor | None:
        """Returns the true mean `[...]` for features `[..., F]`, `None` if not known."""
        law = self.truth(features)
        return None if law is None else law.mean


class Synthetic(Problem):
    """Draws observations from a known process, so that a prediction can be held against the truth.

    A fifth of the observations is for testing, chosen as in the paper; validation looks at the
    same, for the paper keeps none apart and reports the last epoch.

    Args:
        process: The law.
        size: Number of observations.
        seed: Seed of the observations; the choice of those for testing does not depend on it.

    Raises:
        ValueError: If there are fewer than five observations.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), section 4.1 (toy example).
    """

    def __init__(self, process: Process, size: int = 5000, seed: int = 1) -> None:
        if size < 5:
            raise ValueError(
                f"Synthetic: size={size} leaves nothing to test on; draw at least 5 observations."
            )
        self.process, self.size, self.seed = process, size, seed

    def samples(self) -> dict[str, Sample]:
        """Draws all observations and splits them."""
        features, outcome = self.process.draw(np.random.default_rng(self.seed), self.size)
        order = np.random.RandomState(SPLIT_SEED).permutation(self.size)
        cut = -(-self.size // 5)
        train, test = (
            Sample(
                torch.from_numpy(features[rows]).float(), torch.from_numpy(outcome[rows]).float()
            )
            for rows in (order[cut:], order[:cut])
        )
        return {"train": train, "val": test, "test": test}

    def support(self, train: Sample) -> Interval:
        """Returns [-1, 1], where the processes live."""
        return Interval(-1.0, 1.0)

    def truth(self, features: Tensor) -> Distribution:
        """Returns the law of the process."""
        return self.process.truth(features)
