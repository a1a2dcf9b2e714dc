"""Regression problems whose true conditional distribution, or mean, is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution

from components.supports import Interval
from framework.data.density.problems import Observations, Problem
from framework.tasks.toy_densities.processes import Process
from framework.tasks.toy_densities.signals import Signal

SPLIT_SEED = 42  # of scikit-learn's train_test_split in the paper's experiments


class Synthetic(Problem):
    """Draws observations from a known process, so that predictions can be compared with the truth.

    A fifth of the observations is for testing, chosen as in the paper; validation uses the same,
    as the paper has no validation set and reports the last epoch.

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


class Periodic(Problem):
    """Draws numbers and the values of a signal at them, without noise.

    Training and validation points lie within the radius. Test points are out of domain, between
    one radius and two on both sides, where only a model that learned the period is correct.

    Args:
        signal: The function.
        radius: Largest absolute value of a number in training and validation.
        size: Number of training points.
        held_out: Number of points in validation, and in the test.
        seed: Seed of all points.

    Raises:
        ValueError: If the radius is not positive, or a number of points is below 1.

    Source: Dong et al., "FAN: Fourier Analysis Networks" (arXiv:2410.02675), periodicity modeling.
    """

    def __init__(
        self,
        signal: Signal,
        radius: float,
        size: int = 20_000,
        held_out: int = 2_000,
        seed: int = 1,
    ) -> None:
        if not radius > 0 or min(size, held_out) < 1:
            raise ValueError(
                f"Periodic: radius={radius}, size={size} and held_out={held_out} leave no points "
                "to train or test on; give positive ones."
            )
        self.signal, self.radius = signal, radius
        self.size, self.held_out, self.seed = size, held_out, seed

    def samples(self) -> dict[str, Observations]:
        """Draws all points: uniform within the radius, and on the ring around it."""
        generator = torch.Generator().manual_seed(self.seed)

        def uniform(size: int) -> Tensor:
            return 2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1

        train, val, test = uniform(self.size), uniform(self.held_out), uniform(self.held_out)
        ring = torch.where(test < 0, test - 1, test + 1)
        splits = {"train": train, "val": val, "test": ring}
        return {split: self._sample(self.radius * x) for split, x in splits.items()}

    def support(self, train: Observations) -> Interval:
        """Returns the range of the training outcomes."""
        return Interval(train.outcome.min().item(), train.outcome.max().item())

    def truth(self, features: Tensor) -> None:
        """Returns `None`: an outcome without noise has no density."""
        return None

    def mean(self, features: Tensor) -> Tensor:
        """Returns the signal."""
        return self.signal(features[..., 0])

    def _sample(self, x: Tensor) -> Observations:
        return Observations(x.unsqueeze(-1).float(), self.signal(x).float())
