"""Observations drawn from a known process."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from components.supports import Interval
from framework.data.density.problems import Observations, Problem
from framework.tasks.toy_densities.processes import Process

SPLIT_SEED = 42  # of scikit-learn's train_test_split in the paper's experiments


class Synthetic(Problem):
    """Draws observations from a known process, so that a prediction can be held against the truth.

    A fifth of the observations is for testing, chosen as in the paper; validation looks at the
    same, for the paper keeps none apart and reports the last epoch.

    Args:
        process: The distribution.
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

    def samples(self) -> dict[str, Observations]:
        """Draws all observations and splits them."""
        features, outcome = self.process.draw(np.random.default_rng(self.seed), self.size)
        order = np.random.RandomState(SPLIT_SEED).permutation(self.size)
        cut = -(-self.size // 5)
        train, test = (
            Observations(
                torch.from_numpy(features[rows]).float(), torch.from_numpy(outcome[rows]).float()
            )
            for rows in (order[cut:], order[:cut])
        )
        return {"train": train, "val": test, "test": test}

    def support(self, train: Observations) -> Interval:
        """Returns [-1, 1], where the processes live."""
        return Interval(-1.0, 1.0)

    def truth(self, features: Tensor) -> Distribution:
        """Returns the distribution of the process."""
        return self.process.truth(features)
