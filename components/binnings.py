"""Binnings: divisions of an interval into unequal cells."""

from __future__ import annotations

from dataclasses import dataclass

from components.supports import Binning, Bins, Interval

ROUNDING = 1e-9  # of a cell: 0.3 * 10 cells are 3


@dataclass(frozen=True)
class MixedBins(Binning):
    """Divides an interval finely where values are expected, and coarsely to both sides.

    The cells of each of the three parts are equal. A share of `size` cells
    covers both sides, in proportion to their lengths; all others lie between `low` and `high`.
    With 4096 cells on [-15, 15] these are 603 below -1, 3278 up to 10, and 215 above.

    Cells have edges, and a value is read back as the midpoint of the cell that it fell into, half
    a cell away at most; the authors' tokenizer reads back values two to four cells too high.

    Args:
        size: Number of cells.
        low: Where the fine part begins.
        high: Where it ends.
        share: Share of the cells that lie outside the fine part, between 0 and 1.

    Raises:
        ValueError: If `size` is below 3, `low` is not below `high` or `share` is out of its range;
            when an interval is divided, if the fine part does not lie within it or a part has no
            cell.

    Source: Gillman et al., "Fourier Head" (arXiv:2410.22269), mixed precision binning.
    """

    size: int = 4096
    low: float = -1.0
    high: float = 10.0
    share: float = 0.2

    def __post_init__(self) -> None:
        if self.size < 3 or not self.low < self.high or not 0 < self.share < 1:
            raise ValueError(
                f"{self} cannot divide anything; it needs size of at least 3, low < high and a "
                "share between 0 and 1."
            )

    def divide(self, interval: Interval) -> Bins:
        """Divides the interval."""
        sides = self.low - interval.low, interval.high - self.high
        outside = sum(sides)
        if min(sides) < 0 or outside == 0:
            raise ValueError(
                f"{self} divides finely what lies within the interval, but that is "
                f"[{interval.low}, {interval.high}]; move low and high, or give a number of bins."
            )
        below, above = (int(self.share * self.size * side / outside + ROUNDING) for side in sides)
        counts = below, self.size - below - above, above
        marks = interval.low, self.low, self.high, interval.high
        parts = list(zip(marks, marks[1:], counts, strict=False))
        if any(count == 0 for first, last, count in parts if first < last):
            raise ValueError(
                f"{self} gives {counts} cells to the three parts of [{interval.low}, "
                f"{interval.high}]; raise size, or change share."
            )
        edges = [
            first + (last - first) * k / count
            for first, last, count in parts
            for k in range(count)
        ]
        return Bins((*edges, interval.high), interval.shape)
