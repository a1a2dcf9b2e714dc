"""Random windows to pretrain on: drawn from corpora of series, each a function of its number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data import SeriesBatch
from framework.data.mapped import MappedArray
from framework.data.module import Dataset
from framework.data.sampling import ENDLESS
from framework.data.series.scaling import Scaling
from framework.data.series.windows import batch_of

Integers = NDArray[np.int64]


class SeriesPool(NamedTuple):
    """Series of a corpus that windows are drawn from."""

    values: MappedArray
    first: Integers  # [series], where each begins
    length: Integers  # [series], steps
    weight: float  # how often they are drawn, relative to other pools


class RandomWindows(Dataset):
    """Windows without end: number n is cut at random from a random series, the same every time.

    A pool is chosen by its weight, then one of its series, then where the future begins: after at
    least `shortest_past` steps, and a full horizon before the end; of series that are too short
    for both, at least half is past. A random fraction of the values of each window, up to `drop`,
    is dropped, so that models do not rely on any of them. In some windows a run of neighboring
    values of the past, at most half of it, is dropped too.

    Args:
        pools: Where to draw from.
        context: Steps of the past.
        horizon: Steps of the future.
        shortest_past: Fewest steps before the future.
        drop: Largest fraction of values that is dropped.
        gaps: Fraction of the windows that lose a run of neighboring values.
        scaling: What computes location and scale of a window.
        seed: Seed of the draws.
        number: Number of windows.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), sections 4 and 5.2; details are those
        of its training code. Runs: Auer et al., "TiRex" (arXiv:2505.23719), contiguous patch
        masking.
    """

    def __init__(
        self,
        pools: Sequence[SeriesPool],
        context: int,
        horizon: int,
        shortest_past: int,
        drop: float,
        gaps: float,
        scaling: Scaling,
        seed: int,
        number: int = ENDLESS,
    ) -> None:
        self.pools, self.context, self.horizon = list(pools), context, horizon
        self.shortest_past, self.drop, self.gaps = shortest_past, drop, gaps
        self.scaling = scaling
        self.seed, self.number = seed % 2**63, number
        weights = np.array([pool.weight for pool in pools])
        self.probabilities = weights / weights.sum()

    def __len__(self) -> int:
        return self.number

    def __getitems__(self, indices: list[int]) -> SeriesBatch:
        """Draws windows `[B]`: pasts `[B, C]` and futures `[B, H]`."""
        values = np.stack([self._draw(index) for index in indices])
        known = np.isfinite(values)
        values = np.where(known, values, 0.0)
        past, target = np.split(values, [self.context], axis=1)
        observed, there = np.split(known, [self.context], axis=1)
        return batch_of(past, observed, target, there, _naive_error(past, observed), self.scaling)

    def _draw(self, index: int) -> NDArray[np.float64]:
        """Draws the window of a number, `[C + H]`; NaN where a value is missing."""
        rng = np.random.default_rng((self.seed, index))
        pool = self.pools[rng.choice(len(self.pools), p=self.probabilities)]
        series = rng.integers(len(pool.first))
        first, length = int(pool.first[series]), int(pool.length[series])
        earliest = min(self.shortest_past, length // 2)
        cut = int(rng.integers(earliest, max(earliest, length - self.horizon) + 1))
        begin, end = max(0, cut - self.context), min(length, cut + self.horizon)
        window = np.full(self.context + self.horizon, np.nan)
        inside = window[self.context - (cut - begin) : self.context + (end - cut)]
        inside[:] = pool.values[first + begin : first + end]
        inside[rng.random(len(inside)) < rng.uniform(0, self.drop)] = np.nan
        if self.gaps and cut - begin > 1 and rng.random() < self.gaps:
            missing = int(rng.integers(1, (cut - begin) // 2 + 1))
            first = int(rng.integers(0, cut - begin - missing + 1))
            inside[first : first + missing] = np.nan
        return window


def _naive_error(past: NDArray[np.float64], observed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Averages the error of the naive forecast over the context, where it has one, `[B]`."""
    pairs = observed[:, 1:] & observed[:, :-1]
    steps = np.where(pairs, np.abs(np.diff(past)), 0.0)
    return np.asarray(steps.sum(1) / np.maximum(pairs.sum(1), 1))
