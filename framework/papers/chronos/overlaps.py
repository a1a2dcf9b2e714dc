"""Overlaps: finds ends of test series within training series, in any units."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import cached
from framework.data.series.panels import Panel, PanelSource, load_panel, store_panel

STEPS = 16  # of a segment
TOLERANCE = 1e-3  # relative distance up to which segments agree; their rounding may differ
PROJECTIONS = 4
AT_ONCE = 1 << 20  # pairs of segments that are compared together

Segments = NDArray[np.float64]


class Overlap(NamedTuple):
    """A segment of a training series that is the end of a test series."""

    training: str  # name of the series
    begin: int  # step in it
    benchmark: str
    evaluation: str  # name of the series


def refuse_overlaps(origins: Iterable[PanelSource], benchmarks: Mapping[str, PanelSource]) -> None:
    """Refuses training sources that contain the ends of test series.

    Args:
        origins: Where training values were recorded.
        benchmarks: Sources to test on, by name.

    Raises:
        ValueError: If a training series contains the end of a test series.
    """
    for origin in origins:
        found = _compared(origin, benchmarks)
        if found:
            training, begin, benchmark, evaluation = found[0]
            raise ValueError(
                f"{len(found)} segments of {type(origin).__name__} are ends of benchmark series: "
                f"{training!r} from step {begin} on is the end of {evaluation!r} of {benchmark}; "
                "leave out one of the two sources."
            )


def _compared(origin: PanelSource, benchmarks: Mapping[str, PanelSource]) -> list[Overlap]:
    """Returns the overlaps of a source; the search is cached."""
    keys = {name: source.key() for name, source in benchmarks.items()}
    key = {"training": origin.key(), "evaluation": keys, "steps": STEPS, "tolerance": TOLERANCE}

    def build(folder: Path) -> None:
        tested = {name: load_panel(store_panel(source)) for name, source in benchmarks.items()}
        found = overlaps(load_panel(store_panel(origin)), tested)
        (folder / "overlaps.json").write_text(json.dumps(found))

    rows = json.loads((cached("overlaps", key, build) / "overlaps.json").read_text())
    return [Overlap(*row) for row in rows]


def overlaps(training: Panel, benchmarks: Mapping[str, Panel]) -> list[Overlap]:
    r"""Finds segments of training series that agree with ends of benchmark series.

    The end of a series is its last 16 steps, for every horizon: fewer steps of one growing series
    resemble those of any other, and a longer overlap includes these. Two segments agree if, after
    subtracting their means and dividing by their norms, they are closer than 10⁻³: they are then
    the same up to units and rounding. Segments that are constant or have missing values, and
    shorter series, are not compared.

    Few of all pairs are computed: segments at a distance d are no further apart than d along any
    direction, and can be sorted along one.

    Args:
        training: Series to search.
        benchmarks: Series whose ends to find, by the name of their set.
    """
    training = training.compact()
    names = [(name, str(k)) for name, panel in benchmarks.items() for k in panel.name]
    ends = np.concatenate([_ends(panel) for panel in benchmarks.values()])
    wanted, owner = _normalized(ends, np.arange(len(ends)))
    segments, where = _normalized(*_segments(training))
    if not len(wanted) or not len(segments):
        return []
    found = [(where[a], names[owner[b]]) for a, b in zip(*_near(segments, wanted), strict=True)]
    series = np.searchsorted(training.first, [begin for begin, _ in found], side="right") - 1
    return [
        Overlap(str(training.name[k]), int(begin - training.first[k]), *name)
        for k, (begin, name) in zip(series, found, strict=True)
    ]


def _ends(panel: Panel) -> Segments:
    """Returns the last steps of each series, `[series, 16]`; NaN of those that have fewer."""
    ends = np.full((len(panel.length), STEPS), np.nan)
    for row, values in zip(ends, panel.series(), strict=True):
        if len(values) >= STEPS:
            row[:] = values[-STEPS:]
    return ends


def _segments(panel: Panel) -> tuple[Segments, NDArray[np.int64]]:
    """Returns all segments that lie within a series `[N, 16]`, and where they begin."""
    if len(panel.values) < STEPS:
        return np.zeros((0, STEPS)), np.zeros(0, np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(panel.values, STEPS)
    last = panel.first + panel.length - STEPS + 1
    begin = [np.arange(*span) for span in zip(panel.first, last, strict=True)]
    where = np.concatenate(begin)
    return windows[where].astype(np.float64), where


def _normalized(
    segments: Segments, label: NDArray[np.int64]
) -> tuple[Segments, NDArray[np.int64]]:
    """Normalizes segments to mean 0 and norm 1; drops constant and incomplete ones."""
    size = np.abs(segments).max(1)
    centered = segments - segments.mean(1, keepdims=True)
    norm = np.sqrt((centered**2).sum(1))
    kept = norm > 1e-6 * size  # not of a missing value either
    return centered[kept] / norm[kept, None], label[kept]


def _near(segments: Segments, wanted: Segments) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the pairs, by number, that are closer than the tolerance."""
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((PROJECTIONS, segments.shape[1]))
    directions /= np.sqrt((directions**2).sum(1, keepdims=True))
    along, sought = segments @ directions.T, wanted @ directions.T
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
        close = ((segments[a] - wanted[b]) ** 2).sum(1) <= TOLERANCE**2
        pairs.append((a[close], b[close]))
    found = [np.concatenate(part) for part in zip(*pairs, strict=True)]
    return found[0], found[1]


def _batches(counts: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Splits rows into batches of about `AT_ONCE` pairs."""
    batch = np.cumsum(counts) // AT_ONCE
    bounds = np.flatnonzero(np.diff(batch, prepend=-1)).tolist()
    return list(zip(bounds, [*bounds[1:], len(counts)], strict=True))
