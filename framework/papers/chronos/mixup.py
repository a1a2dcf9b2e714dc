"""TSMixup: series that are convex combinations of segments of recorded ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.mapped import MappedArray
from framework.data.series.columns import refuse_covariates
from framework.data.series.panels import PanelSource, map_values, read_spans, store_panel
from framework.data.series.recorded import fpp_tables
from framework.papers.chronos.generated import Generated

Values = NDArray[np.float64]


class MixingPool(NamedTuple):
    """The series of a source, the longest first."""

    values: MappedArray
    first: NDArray[np.int64]  # [series], where each begins
    length: NDArray[np.int64]  # [series], steps, falling

    @classmethod
    def of(cls, source: PanelSource) -> MixingPool:
        """Opens the series of a source."""
        refuse_covariates("TSMixup", source)
        path = store_panel(source)
        first, length = read_spans(path)
        order = np.argsort(-length, kind="stable")
        return cls(MappedArray(path, map_values), first[order], length[order])

    def number(self, steps: int) -> int:
        """Counts the series that have at least so many steps."""
        return int(np.searchsorted(-self.length, -steps, side="right"))


class TSMixup(Generated):
    """Draws convex combinations of segments of recorded series, each divided by its mean size.

    A segment comes from a source drawn by its size, then from any series of it. The first segment
    has a length drawn between `shortest` and `longest`, or less where its series is not so long;
    up to two more of this length are added, from series that have as many steps. Their weights
    follow a Dirichlet distribution. A value is missing where it is missing in any of them;
    mixtures without any value are redrawn.

    The paper draws sources evenly (`tempering: 0`), where each is a large data set; some of the
    tables here are one short series. It does not specify the use of series that are too short;
    here they are used whole.

    Args:
        sources: Series to mix; all tables of `FppTable` but `aus_arrivals` and
            `tourism` if not given.
        number: Number of series.
        mixed: Most segments in a mixture.
        concentration: Of the symmetric Dirichlet distribution of their weights.
        shortest: Steps of a series at least.
        longest: Steps of a series at most.
        tempering: Sources are drawn in proportion to this power of their number of values.
        seed: Seed of the draws.
        workers: Processes that draw; the series do not depend on it.

    Raises:
        ValueError: If nothing would be drawn, or a source cannot be read.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 4.1, algorithm 1.
    """

    def __init__(
        self,
        sources: list[PanelSource] | None = None,
        number: int = 10_000,
        mixed: int = 3,
        concentration: float = 1.5,
        shortest: int = 128,
        longest: int = 2048,
        tempering: float = 0.5,
        seed: int = 0,
        workers: int = 1,
    ) -> None:
        super().__init__(number, seed, workers)
        if mixed < 1 or not concentration > 0 or not 1 <= shortest <= longest:
            raise ValueError(
                f"TSMixup mixes nothing with mixed={mixed}, concentration={concentration}, "
                f"shortest={shortest}, longest={longest}; use positive numbers, shortest first."
            )
        self.sources = fpp_tables() if sources is None else sources
        if not self.sources:
            raise ValueError("TSMixup has no sources to mix; name at least one.")
        self.mixed, self.concentration = mixed, concentration
        self.shortest, self.longest, self.tempering = shortest, longest, tempering

    def key(self) -> dict[str, object]:
        """Names the options that the series depend on, and the sources."""
        options = [self.number, self.mixed, self.concentration, self.shortest, self.longest]
        sources = [source.key() for source in self.sources]
        options += [self.tempering, self.seed]
        return {"ts_mixup": 1, "options": options, "sources": sources}

    def origins(self) -> Sequence[PanelSource]:
        """Returns the sources that the segments come from."""
        return [origin for source in self.sources for origin in source.origins()]

    def open(self) -> None:
        """Opens the series of the sources, writing them to the cache if necessary."""
        self._pools  # noqa: B018  # computes and caches it

    def draw_piece(self, numbers: range) -> list[NDArray[np.float64]]:
        """Draws series, each from a generator of its own."""
        return [self.draw(rng) for rng in self.generators(numbers)]

    def draw(self, rng: np.random.Generator) -> Values:
        """Draws a series, `[up to longest]`."""
        while True:
            mixture = self._mixture(rng)
            if np.isfinite(mixture).any():
                return mixture

    def _mixture(self, rng: np.random.Generator) -> Values:
        count = int(rng.integers(1, self.mixed + 1))
        pool = _draw(self._pools, self.tempering, rng)
        series = int(rng.integers(len(pool.length)))
        most = int(pool.length[series])
        steps = int(rng.integers(min(self.shortest, most), min(self.longest, most) + 1))
        others = [pool for pool in self._pools if pool.number(steps)]
        segments = [_cut(pool, series, steps, rng)]
        for _ in range(count - 1):
            pool = _draw(others, self.tempering, rng)
            segments.append(_cut(pool, int(rng.integers(pool.number(steps))), steps, rng))
        weights = rng.dirichlet(np.full(count, self.concentration))
        return np.asarray(weights @ np.stack(segments))

    @cached_property
    def _pools(self) -> list[MixingPool]:
        return [MixingPool.of(source) for source in self.sources]


def _draw(pools: Sequence[MixingPool], tempering: float, rng: np.random.Generator) -> MixingPool:
    size = np.array([pool.length.sum() for pool in pools], np.float64) ** tempering
    return pools[rng.choice(len(pools), p=size / size.sum())]


def _cut(pool: MixingPool, series: int, steps: int, rng: np.random.Generator) -> Values:
    """Cuts a segment at random, and divides it by the mean of its absolute values."""
    begin = int(pool.first[series] + rng.integers(pool.length[series] - steps + 1))
    segment = pool.values[begin : begin + steps].astype(np.float64)
    size = np.abs(segment[np.isfinite(segment)])
    scale = size.mean() if len(size) else 0.0
    return segment / scale if scale > 0 else segment
