"""Axes of charts: where values lie on them, and which are written beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

SPAN = 100.0  # largest ratio of values on a linear axis, as in the pictures of studies
TICKS = 6  # on an axis, at most
SMALL = 1e-4  # below, numbers are written with a power of ten
UNITS = ((1e4, 1e6, 1e3, "k"), (1e6, 1e9, 1e6, "M"), (1e9, 1e12, 1e9, "G"))  # from, below, size


class Scale(NamedTuple):
    """Maps values to places.

    Args:
        low: Value at `start`.
        high: Value at `end`; larger than `low`.
        start: Place in units of the drawing.
        end: Place in units of the drawing.
        logarithmic: Whether equal ratios, not differences, take equal space.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Returns the place of a value."""
        low, high = self._linear(self.low), self._linear(self.high)
        share = (self._linear(value) - low) / (high - low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Returns round values between the ends: 1, 2 or 5 times a power of ten.

        Example:
            >>> Scale(0.2, 9.0, 0, 100).ticks(), Scale(0.5, 2e3, 0, 100, logarithmic=True).ticks()
            ([2.0, 4.0, 6.0, 8.0], [1.0, 10.0, 100.0, 1000.0])
        """
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            every = math.ceil((last - first + 1) / TICKS)
            return [10.0**power for power in range(first, last + 1, every)]
        step = _round_step((self.high - self.low) / (TICKS - 1))
        numbers = range(math.ceil(self.low / step), math.floor(self.high / step) + 1)
        return [number * step for number in numbers]

    def _linear(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * step)


def scale_of(values: Sequence[float], start: float, end: float) -> Scale:
    """Makes the scale of values with a margin; logarithmic where they span over two decades.

    Args:
        values: Finite numbers, at least one.
        start: Where the smallest value lies.
        end: Where the largest one lies.
    """
    low, high = min(values), max(values)
    if 0 < SPAN * low < high:
        return Scale(low / 1.2, high * 1.2, start, end, logarithmic=True)
    margin = 0.06 * (high - low) or 0.06 * abs(high) or 1.2
    return Scale(low - margin, high + margin, start, end)


def short(value: float) -> str:
    """Writes a number beside an axis.

    Example:
        >>> [short(value) for value in (0.5, 3000.0, 12000.0, 2.5e6, 0.00003, 4e15)]
        ['0.5', '3000', '12k', '2.5M', '3e-5', '4e+15']
    """
    for least, most, size, unit in UNITS:
        if least <= abs(value) < most:
            return f"{value / size:.6g}{unit}"
    if 0 < abs(value) < SMALL:
        power = math.floor(math.log10(abs(value)))
        return f"{value / 10.0**power:.4g}e{power}"
    return f"{value:.6g}"
