"""What every benchmark shares: figures with bounds, and interleaved timing of two contestants."""

from __future__ import annotations

import operator
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A measured number and the bound that it has to keep.

    Args:
        name: What was measured, one word, with its unit where it has one.
        measured: The number.
        relation: Which side of the bound is good.
        bound: The limit.
    """

    name: str
    measured: float
    relation: Literal["<=", ">="]
    bound: float

    @property
    def kept(self) -> bool:
        """Whether the bound holds."""
        compare = {"<=": operator.le, ">=": operator.ge}[self.relation]
        return bool(compare(self.measured, self.bound))

    def __str__(self) -> str:
        verdict = "" if self.kept else "  MISSED"
        return f"{self.name} {self.measured:.4g} {self.relation}{self.bound:g}{verdict}"


def report(figures: Iterable[Figure]) -> None:
    """Prints each figure as it comes and ends the process with status 1 if a bound was missed."""
    missed = 0
    for figure in figures:
        print(figure, flush=True)
        missed += not figure.kept
    sys.exit(1 if missed else 0)


def interleaved(
    first: Callable[[], float], second: Callable[[], float], rounds: int
) -> tuple[float, float]:
    """Lets two contestants time themselves in turn, so that a machine that slows down slows both.

    Args:
        first: Runs once and returns its seconds.
        second: Likewise.
        rounds: How often each runs; who starts alternates.

    Returns:
        The two medians in seconds.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds):
        for which in (0, 1) if round_ % 2 == 0 else (1, 0):
            times[which].append((first, second)[which]())
    return statistics.median(times[0]), statistics.median(times[1])
