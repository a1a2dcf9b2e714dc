"""How the numbers that a Fourier head predicts are read as a distribution of the outcome."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor
from torch.distributions import Distribution, Independent

from components.distributions import (
    CategoricalWithSpecials,
    Discrete,
    FourierCategorical,
    FourierDensity,
    FourierHistogram,
    TransformedFourier,
    Warp,
)
from components.distributions.fourier.warps import WarpFactory
from components.supports import Bins, Interval, Support, Tokens

CellLaw = Callable[[Tensor], Discrete]
"""Reads coefficients `[..., 2(N + 1)]` as a distribution over cells."""


class Reading(ABC):
    """A way to read outputs `[..., *shape, width]`: coefficients, and what it wants beside them.

    `shape` is that of one outcome.
    """

    additional: tuple[float, ...] = ()  # what the outputs behind the coefficients start at

    @abstractmethod
    def distribution(self, outputs: Tensor) -> Distribution:
        """Reads outputs as a distribution of batch shape `[...]`."""


@dataclass(frozen=True)
class BoundedReading(Reading):
    """Reads a density between the bounds of an interval."""

    interval: Interval

    def distribution(self, outputs: Tensor) -> Distribution:
        """Reads coefficients as a distribution of batch shape `[...]`."""
        return _joint(
            FourierDensity(outputs, self.interval.low, self.interval.high), self.interval
        )


@dataclass(frozen=True)
class UnboundedReading(Reading):
    """Reads a density on the whole line, in the units of an interval."""

    interval: Interval
    warp: Warp

    def distribution(self, outputs: Tensor) -> Distribution:
        """Reads coefficients as a distribution of batch shape `[...]`."""
        low, high = self.interval.low, self.interval.high
        return _joint(
            TransformedFourier(outputs, self.warp, (low + high) / 2, (high - low) / 2),
            self.interval,
        )


@dataclass(frozen=True)
class CellReading(Reading):
    """Reads a distribution over cells."""

    cells: Tokens | Bins
    inner: CellLaw

    def distribution(self, outputs: Tensor) -> Distribution:
        """Reads coefficients as a distribution of batch shape `[...]`."""
        return self.cells.distribution(self.inner(outputs), outputs.device)


class GradedReading(Reading):
    """Makes a distribution over tokens, the first of which have no place in the order.

    Args:
        specials: How many.
        ordered: How many others there are.
        inner: Reads the distribution of those.
    """

    def __init__(self, specials: int, ordered: int, inner: CellLaw) -> None:
        self.inner = inner
        self.additional = (*(0.0,) * specials, math.log(ordered))  # all tokens equally likely

    def distribution(self, outputs: Tensor) -> CategoricalWithSpecials:
        """Reads coefficients, logits of the special tokens and one of all others."""
        count = outputs.shape[-1] - len(self.additional)
        return CategoricalWithSpecials(outputs[..., count:], self.inner(outputs[..., :count]))


def reading_of(
    cells: Support, eps: float, mass: str, specials: int, warp: WarpFactory | None
) -> Reading:
    """Chooses how a Fourier head reads its outputs; the options are those of the head.

    Args:
        cells: What is predicted: cells, or an interval that is not divided.
        eps: Added to probabilities of cells.
        mass: What the probability of a cell is.
        specials: How many tokens have no place in the order.
        warp: Map for outcomes without bounds.

    Raises:
        ValueError: If an option is out of range or does not fit what is predicted.
    """
    _require(mass in ("center", "exact"), f"mass={mass!r} is neither 'center' nor 'exact'")
    _require(eps >= 0, f"eps={eps} is added to probabilities; use 0 or more")
    match cells:
        case Interval():
            _require(eps == 0, f"eps={eps} is for cells, and a density has none; give bins")
            _require(mass == "center", f"mass={mass!r} is for cells, of which there are none")
            _require(specials == 0, f"specials={specials} are tokens, and an Interval has none")
            return UnboundedReading(cells, warp()) if warp else BoundedReading(cells)
        case Bins():
            _require(warp is None, "warp is for a density without cells; drop it or bins")
            _require(specials == 0, f"specials={specials} are tokens, and Bins have none")
            return CellReading(cells, _cell_distribution(cells.edges, eps, mass))
        case Tokens(size):
            _require(warp is None, f"warp is for an Interval, got Tokens(size={size}); drop it")
            _require(0 <= specials < size, f"specials={specials} must leave some of {size} tokens")
            inner = _cell_distribution(tuple(map(float, range(size - specials + 1))), eps, mass)
            if specials == 0:
                return CellReading(cells, inner)
            return GradedReading(specials, size - specials, inner)


def _cell_distribution(edges: tuple[float, ...], eps: float, mass: str) -> CellLaw:
    if mass == "exact":
        return partial(FourierHistogram, edges=edges, eps=eps)
    return partial(FourierCategorical, size=len(edges) - 1, eps=eps)


def _require(fits: bool, problem: str) -> None:
    if not fits:
        raise ValueError(f"FourierHead: {problem}.")


def _joint(distribution: Distribution, interval: Interval) -> Distribution:
    axes = len(interval.shape)
    return Independent(distribution, axes, validate_args=False) if axes else distribution
