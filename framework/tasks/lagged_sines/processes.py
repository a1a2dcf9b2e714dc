"""Processes that generate sequences whose outcomes depend on past features."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.supports import Interval

Values = NDArray[np.float64]
NORMAL_REACH = 5.0  # a standard normal variable lies beyond it once in two million draws


class SequenceProcess(ABC):
    """A distribution of sequences: features at each position, and an outcome given those so far.

    Some positions are the task proper; the others are easy, and show that training works.
    """

    features: int
    support: Interval

    @abstractmethod
    def draw(self, rng: np.random.Generator, length: int) -> tuple[Values, Values]:
        """Draws features `[length, F]` and outcomes `[length]`."""

    @abstractmethod
    def task(self, features: Tensor) -> Tensor:
        """Returns which positions of features `[..., T, F]` are the task, `[..., T]` bool."""

    @abstractmethod
    def regressors(self, features: Tensor) -> dict[str, Tensor]:
        """Returns quantities that a hidden state may hold before they are needed, `[..., T]`.

        Args:
            features: Features `[..., T, F]`.
        """


class LaggedSines(SequenceProcess):
    r"""Sums sines of the last few numbers where a switch is on, and copies the number elsewhere.

    .. math:: y_n = z_n \sum_{i=1}^{a} \sin(b\, x_{n-i}) + (1 - z_n)\, x_n, \qquad
              x_n \sim N(0, 1),\ z_n \sim \mathrm{Bernoulli}(p)

    Features are x and z; numbers before the start contribute 0. No position needs the sine of its
    own number, but later ones do where the switch is on: a model that plans ahead computes it once
    for all of them. For large b the sine is nearly uncorrelated with the number, so that a linear
    map does not give it.

    Args:
        lags: Number of terms in the sum, a, at least 1.
        frequency: Factor b of the numbers, radians per unit.
        share: Probability p that the switch is on.

    Raises:
        ValueError: If an option is out of its range.

    Source: Wu, Morris and Levine, "Do language models plan ahead for future tokens?"
        (arXiv:2404.00859), synthetic data.
    """

    features = 2

    def __init__(self, lags: int = 10, frequency: float = 10.0, share: float = 0.3) -> None:
        if lags < 1:
            raise ValueError(f"LaggedSines: lags={lags} sums nothing; use at least 1.")
        if not math.isfinite(frequency) or frequency == 0:
            raise ValueError(
                f"LaggedSines: frequency={frequency} gives no sines; use a finite number, not 0."
            )
        if not 0 <= share <= 1:
            raise ValueError(f"LaggedSines: share={share} is not in [0, 1]; use a probability.")
        self.lags, self.frequency, self.share = lags, frequency, share
        reach = max(float(lags), NORMAL_REACH)
        self.support = Interval(-reach, reach)

    def draw(self, rng: np.random.Generator, length: int) -> tuple[Values, Values]:
        """Draws numbers, then switches: features `[length, 2]` and outcomes `[length]`."""
        number, switch = rng.standard_normal(length), rng.random(length) < self.share
        sines = np.sin(self.frequency * number)
        sums = np.convolve(sines, np.ones(self.lags))[:length]  # of the number itself and before
        before = np.concatenate(([0.0], sums[:-1]))
        return np.stack([number, switch], -1), np.where(switch, before, number)

    def task(self, features: Tensor) -> Tensor:
        """Returns where the switch is on."""
        return features[..., 1] > 0

    def regressors(self, features: Tensor) -> dict[str, Tensor]:
        """Returns the sine of each number, and those of the numbers before, 0 before the start.

        One more than the sum adds up: the number itself, which only later positions need.
        """
        sines = (self.frequency * features[..., 0].double()).sin()
        length = sines.shape[-1]
        return {
            f"sin x[n-{lag}]" if lag else "sin x[n]": _later(sines, min(lag, length))
            for lag in range(self.lags + 1)
        }


def _later(values: Tensor, lag: int) -> Tensor:
    """Shifts values `[..., T]` by `lag` positions to the right, filling with zeros."""
    front = torch.zeros_like(values[..., :lag])
    return torch.cat((front, values[..., : values.shape[-1] - lag]), -1)
