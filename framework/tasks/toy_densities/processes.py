"""Synthetic processes: two features x, y and an outcome z with a known distribution given (x, y).

Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), toy example. N(m, v) has variance v =
    0.01 throughout.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Size, Tensor
from torch.distributions import Beta, Categorical, Distribution, MixtureSameFamily, Normal

Values = NDArray[np.float64]
STD = 0.1  # of every normal step: variance 0.01
BOUND = 0.8  # x is uniform on [-BOUND, BOUND]
CONCENTRATION = 100.0  # of the Beta distribution, per unit of |x| and |y|
TINY = 1e-6  # smallest concentration and distance from an end, where Beta has a density


class Process(ABC):
    """A joint distribution of features and outcome."""

    @abstractmethod
    def draw(self, generator: np.random.Generator, size: int) -> tuple[Values, Values]:
        """Draws features `[size, 2]` and outcomes `[size]`."""

    @abstractmethod
    def truth(self, features: Tensor) -> Distribution:
        """Returns the distribution of outcomes for features `[..., 2]`, batch shape `[...]`."""


class Gaussian(Process):
    """A chain of normal steps: x uniform, y ~ N(x, 0.01), z ~ N(y, 0.01)."""

    def draw(self, generator: np.random.Generator, size: int) -> tuple[Values, Values]:
        """Draws x, then y, then z."""
        x = generator.uniform(-BOUND, BOUND, size)
        y = generator.normal(x, STD)
        return np.stack([x, y], -1), generator.normal(y, STD)

    def truth(self, features: Tensor) -> Distribution:
        """Returns N(y, 0.01)."""
        return Normal(features[..., 1], STD, validate_args=False)


class TwoGaussians(Process):
    """An equal mixture: x and y uniform and independent, z ~ ½ N(x, 0.01) + ½ N(y, 0.01)."""

    def draw(self, generator: np.random.Generator, size: int) -> tuple[Values, Values]:
        """Draws x and y, which of them z follows, then z."""
        features = generator.uniform(-BOUND, BOUND, (size, 2))
        chosen = features[np.arange(size), generator.integers(2, size=size)]
        return features, generator.normal(chosen, STD)

    def truth(self, features: Tensor) -> Distribution:
        """Returns the mixture."""
        even = Categorical(logits=torch.zeros_like(features), validate_args=False)
        return MixtureSameFamily(
            even, Normal(features, STD, validate_args=False), validate_args=False
        )


class SignedBeta(Process):
    """Symmetric: x uniform, y ~ N(x, 0.01), z = ±Beta(100|x|, 100|y|), signs even."""

    def draw(self, generator: np.random.Generator, size: int) -> tuple[Values, Values]:
        """Draws x, then y, then the sign and the size of z."""
        x = generator.uniform(-BOUND, BOUND, size)
        y = generator.normal(x, STD)
        a, b = (np.maximum(CONCENTRATION * np.abs(v), TINY) for v in (x, y))
        return np.stack([x, y], -1), generator.choice([-1.0, 1.0], size) * generator.beta(a, b)

    def truth(self, features: Tensor) -> Distribution:
        """Returns the distribution of a Beta variable with a random sign."""
        a, b = (CONCENTRATION * features.abs()).clamp(min=TINY).unbind(-1)
        return RandomSign(Beta(a, b, validate_args=False))


class RandomSign(Distribution):
    """Distribution of a variable on [0, 1] that is given either sign with probability one half.

    Args:
        size: Distribution of the absolute value, `[...]`.
    """

    arg_constraints = {}  # noqa: RUF012 - the interface of torch

    def __init__(self, size: Distribution) -> None:
        super().__init__(size.batch_shape, validate_args=False)
        self.size = size

    def log_prob(self, value: Tensor) -> Tensor:
        """Returns the log density; values beyond the ends are scored at the nearest end."""
        return self.size.log_prob(value.abs().clamp(TINY, 1 - TINY)) - math.log(2)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Draws values `[*sample_shape, ...]`."""
        size = self.size.sample(Size(sample_shape))
        return torch.where(torch.rand_like(size) < 0.5, -size, size)

    @property
    def mean(self) -> Tensor:
        """Zero, by symmetry."""
        return torch.zeros_like(self.size.mean)

    @property
    def variance(self) -> Tensor:
        """Second moment of the absolute value."""
        return self.size.variance + self.size.mean**2
