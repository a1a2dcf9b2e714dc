"""Overlaps: whether series to train on hold the ends of series to test on, in whatever units."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import cached
from framework.data.series.panels import Panel, PanelSource
from framework.data.series.store import load, stored

STEPS = 16  # that a stretch has at least: growth over fewer years looks alike anywhere
TOLERANCE = 1e-3  # relative distance of two stretches that are one, each rounded as it may be
PROJECTIONS = 4
AT_ONCE = 1 << 20  # pairs of stretches that are compared together

Stretches = NDArray[np.float64]


class Overlap(NamedTuple):
    """A stretch of a series to train on that is the end of one to test on."""

    training: str  # name of the series
    begin: int  # step in it
    evaluation: str


def refuse_overlaps(
    origins: Iterable[PanelSource], benchmarks: Mapping[str, PanelSource], horizon: int
) -> None:
    """Compares sources to train on with those to test on.

    Args:
        origins: Where training values were recorded.
        benchmarks: Sources to test on, by name.
        horizon: Steps that are tested, of sources that do not say it.

    Raises:
        ValueError: If a series to train on holds the end of one to test on.
    """
    for origin in origins:
        for name, benchmark in benchmarks.items():
            found = _compared(origin, benchmark, horizon)
            if found:
                training, begin, evaluation = found[0]
                raise ValueError(
                    f"{len(found)} stretches of {type(origin).__name__} are ends of series of "
                    f"{name}: series {training!r} from step {begin} on is the end of "
                    f"{evaluation!r}; leave out one of the two sources."
                )


def _compared(origin: PanelSource, benchmark: PanelSource, horizon: int) -> list[Overlap]:
    """Returns overlaps of two sources; they are looked for once."""
    key = {"training": origin.key(), "evaluation": benchmark.key(), "horizon": horizon,
           "steps": STEPS, "tolerance": TOLERANCE}  # fmt: skip

    def build(folder: Path) -> None:
        training, evaluation = load(stored(origin)), load(stored(benchmark))
        found = overlaps(training, evaluation, evaluation.horizon or horizon)
        (folder / "overlaps.json").write_text(json.dumps(found))

    rows = json.loads((cached("overlaps", key, build) / "overlaps.json").read_text())
    return [Overlap(*row) for row in rows]


def overlaps(training: Panel, evaluation: Panel, horizon: int) -> list[Overlap]:
    r"""Finds stretches of training series that agree with ends of evaluation series.

    The end of a series is its last `horizon` steps, with steps before them if they are fewer than
    16. Two stretches agree if, less their means and divided by their norms, they are closer than
    10⁻³: they are then the same but for their units and their rounding. Neither a stretch with a
    missing value nor a constant one is compared.

    All pairs are considered, few are computed: stretches at a distance d are no further apart than
    d along any direction, and can be sorted along one.

    Args:
        training: Series to look through.
        evaluation: Series whose ends to look for.
        horizon: Steps that are tested.
    """
    steps = max(horizon, STEPS)
    wanted, owner = _normalized(*_ends(evaluation, steps))
    training = training.compact()
    if not len(wanted) or len(training.values) < steps:
        return []
    stretches, where = _normalized(*_stretches(training, steps))
    found = [(where[a], owner[b]) for a, b in zip(*_neighbors(stretches, wanted), strict=True)]
    series = np.searchsorted(training.first, [a for a, _ in found], side="right") - 1
    return [
        Overlap(str(training.name[k]), int(a - training.first[k]), str(evaluation.name[b]))
        for k, (a, b) in zip(series, found, strict=True)
    ]


def _ends(panel: Panel, steps: int) -> tuple[Stretches, NDArray[np.int64]]:
    """Returns the last steps of each series that has so many `[N, steps]`, and which it is."""
    (enough,) = np.nonzero(panel.length >= steps)
    begin = (panel.first + panel.length)[enough] - steps
    return panel.values[begin[:, None] + np.arange(steps)].astype(np.float64), enough


def _stretches(panel: Panel, steps: int) -> tuple[Stretches, NDArray[np.int64]]:
    """Returns all stretches that lie within a series `[N, steps]`, and where they begin."""
    windows = np.lib.stride_tricks.sliding_window_view(panel.values, steps)
    begin = np.concatenate(
        [
            np.arange(first, first + max(0, length - steps + 1))
            for first, length in zip(panel.first, panel.length, strict=True)
        ]
    )
    return windows[begin].astype(np.float64), begin


def _normalized(
    stretches: Stretches, label: NDArray[np.int64]
) -> tuple[Stretches, NDArray[np.int64]]:
    """Brings stretches to mean 0 and norm 1; leaves out those with missing values or no norm."""
    size = np.abs(stretches).max(1)
    centered = stretches - stretches.mean(1, keepdims=True)
    norm = np.sqrt((centered**2).sum(1))
    kept = norm > 1e-6 * size  # not of a missing value either
    return centered[kept] / norm[kept, None], label[kept]


def _neighbors(
    stretches: Stretches, wanted: Stretches
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the pairs, by number, that are closer than the tolerance."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((PROJECTIONS, stretches.shape[1]))
    directions /= np.sqrt((directions**2).sum(1, keepdims=True))
    along, sought = stretches @ directions.T, wanted @ directions.T
    order = np.argsort(along[:, 0])
    line = along[order, 0]
    low = np.searchsorted(line, sought[:, 0] - TOLERANCE)
    high = np.searchsorted(line, sought[:, 0] + TOLERANCE)
    pairs: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for begin, end in _batches(high - low):
        counts = (high - low)[begin:end]
        b = np.repeat(np.arange(begin, end), counts)
        rank = np.arange(len(b)) - np.repeat(np.cumsum(counts) - counts, counts)
        a = order[low[b] + rank]
        near = (np.abs(along[a] - sought[b]) <= TOLERANCE).all(1)
        a, b = a[near], b[near]
        close = ((stretches[a] - wanted[b]) ** 2).sum(1) <= TOLERANCE**2
        pairs.append((a[close], b[close]))
    found = [np.concatenate(part) for part in zip(*pairs, strict=True)]
    return found[0], found[1]


def _batches(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cuts rows into stretches of about `AT_ONCE` pairs."""
    batch = np.cumsum(counts) // AT_ONCE
    bounds = np.flatnonzero(np.diff(batch, prepend=-1)).tolist()
    return list(zip(bounds, [*bounds[1:], len(counts)], strict=True))
