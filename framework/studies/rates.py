"""Learning rates of a study: each variant has the best of several, chosen in validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


class ChosenRate(NamedTuple):
    """The learning rate with which a variant is compared."""

    rate: float | None  # None: that of the recipe
    tried: int = 1  # from how many it was chosen
    edge: bool = False  # whether it is the smallest or the largest of them

    def describe(self) -> str:
        """Writes the rate, from how many it was chosen, and whether a better one may lie beyond.

        Example:
            >>> ChosenRate(0.003, 3).describe(), ChosenRate(0.01, 3, True).describe()
            ('0.003 of 3', '0.01 of 3, at the edge of the grid')
        """
        if self.rate is None:
            return ""
        edge = ", at the edge of the grid" if self.edge else ""
        return f"{self.rate!r} of {self.tried}{edge}"


RECIPE_RATE = ChosenRate(None)
"""One learning rate was tried, that of the recipe."""


def choose_rate(scores: Mapping[float | None, float], maximized: bool = False) -> ChosenRate:
    """Chooses the learning rate with the best score; runs whose score is not a number lose.

    Args:
        scores: Score of one run with each rate.
        maximized: Whether more is better.

    Example:
        >>> choose_rate({0.001: 1.5, 0.003: 1.2, 0.01: math.nan})
        ChosenRate(rate=0.003, tried=3, edge=False)
    """
    sign = -1 if maximized else 1
    best = min(
        scores, key=lambda rate: math.inf if math.isnan(scores[rate]) else sign * scores[rate]
    )
    rates = [rate for rate in scores if rate is not None]
    edge = len(rates) > 1 and best in (min(rates), max(rates))
    return ChosenRate(best, len(scores), edge)
