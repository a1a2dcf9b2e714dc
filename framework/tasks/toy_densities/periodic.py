"""Regression of a function that repeats: seen near zero, asked for there and farther out."""

from __future__ import annotations

import torch
from torch import Tensor

from components.supports import Interval
from framework.data.density.problems import Observations, Problem
from framework.tasks.toy_densities.signals import Signal


class Periodic(Problem):
    """Draws numbers and what a signal makes of them, without noise.

    Training and validation have points of their own within the radius. The test is out of the
    domain: from one radius to two, on both sides, where only who saw the period can be right.

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
                f"Periodic: radius={radius}, size={size} and held_out={held_out} leave nothing to "
                "learn or to ask for; give positive ones."
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
