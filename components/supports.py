"""Supports: what can be predicted. Data publish one, heads serve it, distributions live on it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import one_hot

from components.distributions.categorical import Discrete
from components.distributions.histogram import Histogram
from components.distributions.tensors import bucketize, constant
from components.distributions.vectors import joint
from components.numbers import count, number, numbers

DEFAULT_BINS = 256  # resolution of a histogram head by default


@dataclass(frozen=True)
class Tokens:
    """A finite set of outcomes, numbered from zero: words of a vocabulary, actions of a game.

    Args:
        size: Number of outcomes, at least 1.

    Raises:
        ValueError: If `size` is not positive.
    """

    size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", count(self.size, "Tokens: size"))
        if self.size < 1:
            raise ValueError(f"Tokens need at least one outcome, got size={self.size}.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one outcome: a scalar."""
        return ()

    @property
    def width(self) -> int:
        """How many numbers `encode` uses for one outcome."""
        return self.size

    def contains(self, outcome: Tensor) -> Tensor:
        """Returns which outcomes `[...]` are possible, as booleans `[...]`."""
        return (outcome >= 0) & (outcome < self.size)

    def encode(self, outcome: Tensor) -> Tensor:
        """Encodes outcomes `[...]` as one-hot vectors `[..., size]`."""
        return one_hot(outcome.long(), self.size).to(torch.get_default_dtype())

    def divide(self, bins: int | Binning | None = None) -> Tokens:
        """Returns itself, as tokens are cells already.

        Raises:
            ValueError: If `bins` is given.
        """
        if bins is not None:
            raise ValueError(
                f"Tokens are discrete already ({self.size} of them); drop bins={bins}."
            )
        return self

    def distribution(self, categorical: Discrete, device: torch.device) -> Distribution:
        """Returns the categorical, which is the distribution of the outcome."""
        return categorical


@dataclass(frozen=True)
class Interval:
    """Real values between two bounds, alone or as a vector whose components share the bounds.

    Distributions of unbounded support (Normal, Student-t) take the bounds as the range that
    matters. Histograms and Fourier densities end there: they score a value beyond a bound as if it
    lay on it, and every module reports how much of the data that concerns
    (`out_of_support`).

    Args:
        low: Smallest outcome, in the units of the target.
        high: Largest outcome, in the same units.
        shape: Shape of one outcome: `()` for a scalar, `(n,)` for a vector of n components.

    Raises:
        ValueError: If the bounds are not finite or not in order.
    """

    low: float
    high: float
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", number(self.low, "Interval: low"))
        object.__setattr__(self, "high", number(self.high, "Interval: high"))
        object.__setattr__(self, "shape", _shape(self.shape, "Interval"))
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"An Interval needs finite bounds with low < high, got [{self.low}, {self.high}]."
            )

    @property
    def interval(self) -> Interval:
        """Itself, as the interval of `Bins` is the one that they divide."""
        return self

    @property
    def width(self) -> int:
        """How many numbers `encode` uses for one outcome."""
        return math.prod(self.shape)

    def contains(self, outcome: Tensor) -> Tensor:
        """Returns which outcomes `[..., *shape]` lie between the bounds, as booleans `[...]`."""
        inside = (outcome >= self.low) & (outcome <= self.high)
        return inside.flatten(-len(self.shape)).all(-1) if self.shape else inside

    def encode(self, outcome: Tensor) -> Tensor:
        """Scales outcomes `[..., *shape]` so that the bounds are ±1, `[..., width]`."""
        middle, half = (self.high + self.low) / 2, (self.high - self.low) / 2
        scaled = (outcome - middle) / half
        return scaled.flatten(-len(self.shape)) if self.shape else scaled.unsqueeze(-1)

    def divide(self, bins: int | Binning | None = None) -> Bins:
        """Divides the interval into `bins` equal cells (by default 256), or by a binning."""
        if isinstance(bins, Binning):
            return bins.divide(self)
        size = DEFAULT_BINS if bins is None else bins
        return Bins.uniform(self.low, self.high, size, self.shape)


class Binning(ABC):
    """A way to divide an interval into cells that are not all of one width."""

    @abstractmethod
    def divide(self, interval: Interval) -> Bins:
        """Divides the interval.

        Raises:
            ValueError: If that cannot be done with this interval.
        """


@dataclass(frozen=True)
class Bins:
    """An interval in cells: what a histogram head resolves, or what data were rounded to.

    Args:
        edges: The `size + 1` borders of the cells, increasing, in the units of the target.
        shape: Shape of one outcome; all components are divided in the same way.

    Raises:
        ValueError: If there is no cell or the edges, rounded to float32, do not increase.
    """

    edges: tuple[float, ...]
    shape: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", numbers(self.edges, "Bins: edges"))
        object.__setattr__(self, "shape", _shape(self.shape, "Bins"))
        edges = torch.tensor(self.edges, dtype=torch.float32, device="cpu").tolist()
        if len(edges) < 2 or any(not a < b for a, b in pairwise(edges)):
            raise ValueError(
                "Bins need at least two edges that increase, also in float32, got "
                f"{len(edges)} that begin with {self.edges[:4]}; use fewer or wider cells."
            )

    @classmethod
    def uniform(cls, low: float, high: float, size: int, shape: tuple[int, ...] = ()) -> Bins:
        """Divides [low, high] into `size` cells of equal width.

        Raises:
            ValueError: If `size` is not positive.
        """
        size = count(size, "Bins: bins")
        if size < 1:
            raise ValueError(f"Bins need at least one cell, got bins={size}.")
        step = (high - low) / size
        return cls((*(low + step * k for k in range(size)), high), shape)

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.edges) - 1

    @property
    def even(self) -> bool:
        """Whether all cells are of one width, but for a thousandth of it."""
        low, high = self.edges[0], self.edges[-1]
        step = (high - low) / self.size
        return all(abs(edge - low - step * k) < step / 1000 for k, edge in enumerate(self.edges))

    @property
    def interval(self) -> Interval:
        """The interval that is divided."""
        return Interval(self.edges[0], self.edges[-1], self.shape)

    @property
    def width(self) -> int:
        """How many numbers `encode` uses for one outcome."""
        return self.interval.width

    def contains(self, outcome: Tensor) -> Tensor:
        """Returns which outcomes `[..., *shape]` lie between the outer edges, booleans `[...]`."""
        return self.interval.contains(outcome)

    def encode(self, outcome: Tensor) -> Tensor:
        """Scales outcomes `[..., *shape]` so that the outer edges are ±1, `[..., width]`."""
        return self.interval.encode(outcome)

    def divide(self, bins: int | Binning | None = None) -> Bins:
        """Returns itself, as the data determine the resolution.

        Raises:
            ValueError: If another resolution is given.
        """
        if bins is None:
            return self
        if isinstance(bins, Binning) or count(bins, "Bins: bins") != self.size:
            raise ValueError(
                f"The data are divided into {self.size} bins already; drop bins={bins}."
            )
        return self

    def index(self, value: Tensor) -> Tensor:
        """Finds the cells of values `[...]`, int64: an end cell for values beyond the edges."""
        return bucketize(value, constant(self.edges, torch.float32, value.device))

    def midpoint(self, index: Tensor) -> Tensor:
        """Returns the midpoints of cells `[...]`."""
        edges = constant(self.edges, torch.float32, index.device)
        return (edges[index] + edges[index + 1]) / 2

    def distribution(self, categorical: Discrete, device: torch.device) -> Distribution:
        """Makes a density of outcomes, `[...]`, of a categorical `[..., *shape]` over cells."""
        histogram = Histogram(categorical, constant(self.edges, torch.float32, device))
        return joint(histogram, self.shape)


def _shape(shape: Any, owner: str) -> tuple[int, ...]:
    """Returns a shape as plain numbers; a single one is that of a vector."""
    option = f"{owner}: shape"
    return tuple(count(axis, option) for axis in numbers(shape, option))


Support = Tokens | Interval | Bins
"""What can be predicted."""
