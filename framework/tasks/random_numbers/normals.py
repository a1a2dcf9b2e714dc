"""Prompts that describe a distribution in a sentence, followed by numbers drawn from it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, Normal

from components.supports import Interval

NORMALS = ((-0.55, 0.10), (-0.03, 0.24), (0.42, 0.16), (0.55, 0.10))  # means and deviations
SENTENCE = (
    "Each number in this list was drawn at random, between -1 and 1, from a normal distribution "
    "with mean {:.2f} and standard deviation {:.2f}:"
)
DESCRIBED = re.compile(r"with mean (-?\d\.\d\d) and standard deviation (\d\.\d\d):")


class Prompt(NamedTuple):
    """A text and the number that follows it."""

    text: str
    number: float


class Prompts(ABC):
    """A source of prompts."""

    @property
    @abstractmethod
    def support(self) -> Interval:
        """The range of the numbers."""

    @abstractmethod
    def prompts(self, split: str) -> list[Prompt]:
        """Returns the prompts of "train" or "test"."""

    @abstractmethod
    def truth(self, texts: Sequence[str]) -> Distribution | None:
        """Returns the true distribution of the number of each of N texts, batch shape `[N, 1]`.

        `None` if it is not known.
        """


class DescribedNormals(Prompts):
    """Describes a normal distribution on [-1, 1] and lists some draws, in two decimals.

    Prompts cycle through four distributions; each lists up to `shown` numbers, uniformly many. The
    number to predict is not rounded.

    Args:
        train: Number of prompts to train on.
        test: Number of prompts to test on.
        shown: Largest number of draws in a prompt.
        seed: Seed of all draws.

    Raises:
        ValueError: If there are no prompts.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), later versions, large language
        models as random number generators; distributions and sizes are theirs, the sentence is
        ours.
    """

    def __init__(self, train: int = 256, test: int = 4, shown: int = 9, seed: int = 0) -> None:
        if train < 1 or test < 1 or shown < 0:
            raise ValueError(
                f"DescribedNormals: train={train}, test={test}, shown={shown} leave no prompts to "
                "train or to test on; use at least one prompt of each."
            )
        self.sizes, self.shown, self.seed = {"train": train, "test": test}, shown, seed

    @property
    def support(self) -> Interval:
        """The range [-1, 1]."""
        return Interval(-1.0, 1.0)

    def prompts(self, split: str) -> list[Prompt]:
        """Draws the prompts of a split, the same at every call."""
        generator = np.random.default_rng([self.seed, list(self.sizes).index(split)])
        return [
            self._prompt(generator, *NORMALS[k % len(NORMALS)]) for k in range(self.sizes[split])
        ]

    def truth(self, texts: Sequence[str]) -> Distribution:
        """Returns the distributions that the texts describe.

        Raises:
            ValueError: If a text describes none.
        """
        found = [DESCRIBED.search(text) for text in texts]
        for text, distribution in zip(texts, found, strict=True):
            if distribution is None:
                raise ValueError(
                    f"DescribedNormals: the text {text!r} describes no normal distribution; use a "
                    "tokenizer whose decoding inverts its encoding."
                )
        numbers = [
            [float(part) for part in distribution.groups()]
            for distribution in found
            if distribution
        ]
        mean, std = torch.tensor(numbers).unsqueeze(-1).unbind(1)
        return TruncatedNormal(mean, std, self.support)

    def _prompt(self, generator: np.random.Generator, mean: float, std: float) -> Prompt:
        *shown, number = (
            _draw(generator, mean, std) for _ in range(1 + int(generator.integers(self.shown + 1)))
        )
        return Prompt(SENTENCE.format(mean, std) + "".join(map(written, shown)), number)


def written(number: float) -> str:
    """Writes a number as in a list: a space, two decimals, a comma."""
    return f" {number:.2f},"


class TruncatedNormal(Distribution):
    """A normal distribution, given that the value lies in an interval.

    Args:
        mean: Mean before the truncation, `[...]`.
        std: Standard deviation before the truncation, `[...]`.
        interval: Where the values are.
    """

    arg_constraints = {}  # noqa: RUF012 - the interface of torch

    def __init__(self, mean: Tensor, std: Tensor, interval: Interval) -> None:
        super().__init__(mean.shape, validate_args=False)
        self.normal = Normal(mean, std, validate_args=False)
        self.interval = interval
        self._below = self._cdf(torch.as_tensor(interval.low))
        self._inside = self._cdf(torch.as_tensor(interval.high)) - self._below

    def log_prob(self, value: Tensor) -> Tensor:
        """Returns the log-density at values `[...]`, minus infinity beyond the bounds."""
        distribution: Any = self.normal  # torch declares no types for its distributions
        density: Tensor = distribution.log_prob(value) - self._inside.log()
        return torch.where(self.interval.contains(value), density, -torch.inf)

    def cdf(self, value: Tensor) -> Tensor:
        """Returns the probability of at most `value`, `[...]`."""
        return ((self._cdf(value) - self._below) / self._inside).clamp(0, 1)

    def _cdf(self, value: Tensor) -> Tensor:
        mean, std = self.normal.loc, self.normal.scale
        found: Tensor = torch.special.ndtr((value - mean) / std)
        return found


def _draw(generator: np.random.Generator, mean: float, std: float) -> float:
    """Draws from a normal distribution until a number lies between -1 and 1."""
    while True:
        number = float(generator.normal(mean, std))
        if -1 <= number <= 1:
            return number
