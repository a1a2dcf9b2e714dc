"""Panels: many time series in one flat array, where they come from, and how they are stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.numbers import count
from framework.data.cache import cached, fingerprint
from framework.data.precision import LARGEST, too_coarse

if TYPE_CHECKING:
    from framework.data.series.covariates import Column, Covariates

FILE = "panel.arrow"
COLUMNS = ("name", "start", "target")


class Panel(NamedTuple):
    """Series on regular grids of time, in one array; missing values are NaN.

    Every series begins and ends with an observed value: missing values on either side are cut off.
    Other values may lie between two series. Values are float32, unless it would round away the
    differences within a series, as those of 2000000000, 2000000001, …: then all are float64.
    """

    values: NDArray[np.floating[Any]]  # [N], all series
    first: NDArray[np.int64]  # [series], where each begins
    length: NDArray[np.int64]  # [series]
    name: NDArray[np.str_]  # [series]
    start: NDArray[np.int64]  # [series], time of the first value: number, or microseconds
    season: int = 1  # steps
    horizon: int | None = None  # steps at the end to be forecast, if the source sets it
    frequency: str = "1"  # of the time stamps, or the step of numbered time

    @classmethod
    def of(
        cls,
        series: Mapping[str, NDArray[np.floating[Any]]],
        season: int = 1,
        horizon: int | None = None,
        dtype: type[np.floating[Any]] | None = None,
    ) -> Panel:
        """Joins series, each with its name; their values are numbered from 1.

        Args:
            series: Values by name, NaN where missing.
            season: Steps in a season.
            horizon: Steps at the end to be forecast.
            dtype: Type of the values; float32 if not given, or float64 where that is too coarse.

        Raises:
            ValueError: If there are none, or one is too large for float32 somewhere or observed
                nowhere.
        """
        if not series:
            raise ValueError(
                "The panel has no series; check the file or the list that it was read from."
            )
        arrays = {name: np.asarray(values, np.float64) for name, values in series.items()}
        kept = [_observed(name, values) for name, values in arrays.items()]
        parts = [values[span] for values, span in zip(arrays.values(), kept, strict=True)]
        length = np.array([len(part) for part in parts])
        first, values = np.cumsum(length) - length, np.concatenate(parts)
        return cls(
            compress(values, first) if dtype is None else values.astype(dtype),
            first,
            length,
            np.array(list(series)),
            np.array([1 + span.start for span in kept]),
            season,
            horizon,
        )

    def select(self, kept: NDArray[np.bool_]) -> Panel:
        """Keeps some of the series, without copying their values."""
        return self._replace(
            first=self.first[kept],
            length=self.length[kept],
            name=self.name[kept],
            start=self.start[kept],
        )

    def series(self) -> Iterator[NDArray[np.floating[Any]]]:
        """Reads the values of one series after the other."""
        for begin, length in zip(self.first, self.length, strict=True):
            yield self.values[begin : begin + length]

    def compact(self) -> Panel:
        """Copies the series into memory, so that nothing else lies between them."""
        length = self.length
        return self._replace(
            values=np.concatenate(list(self.series())), first=np.cumsum(length) - length
        )


def compress(values: NDArray[np.float64], first: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
    """Casts values to float32, unless it is too coarse for one of the series.

    Args:
        values: The series, one after the other, NaN where missing, `[N]`.
        first: Where each begins, `[series]`.
    """
    return values if too_coarse(values, first).any() else values.astype(np.float32)


class PanelSource(ABC):
    """Where series come from, and columns `beside` their values that help to forecast them."""

    beside: tuple[Column, ...] = ()

    @abstractmethod
    def key(self) -> dict[str, object]:
        """Identifies the content in plain values: sources with equal keys read the same panel."""

    @abstractmethod
    def read(self) -> Panel:
        """Reads all series."""

    def pieces(self) -> Iterator[Panel]:
        """Reads the series in pieces, which need not fit into memory together."""
        yield self.read()

    def covariates(self) -> Covariates | None:
        """Reads what comes beside the series, in the order of the panel; None if nothing does."""
        return None

    def origins(self) -> Sequence[PanelSource]:
        """Returns the sources of the recorded values: itself, unless made from others."""
        return [self]


class Arrays(PanelSource):
    """Series given as lists of numbers.

    Args:
        values: One sequence of numbers per series, in Python also arrays or tensors; NaN (`.nan`
            in YAML) where a value is missing.
        season: Steps in a season, 1 where there is none.

    Raises:
        ValueError: If these are no series of numbers, or the season is no number of steps.
    """

    def __init__(self, values: Sequence[Sequence[float]], season: int = 1) -> None:
        named = isinstance(values, str | Mapping) or hasattr(values, "columns")
        if named or not isinstance(values, Iterable):
            raise ValueError(
                f"Arrays: values is a {type(values).__name__}; give a list of series, which are "
                "lists of numbers."
            )
        self.values = [_numbers(series, k) for k, series in enumerate(values)]
        self.season = count(season, "Arrays: season")
        if self.season < 1:
            raise ValueError(f"Arrays: season={season} is no number of steps; use 1 for none.")

    def key(self) -> dict[str, object]:
        """Digests the values."""
        return {"arrays": fingerprint(*(v.tobytes() for v in self.values)), "season": self.season}

    def read(self) -> Panel:
        """Joins the series; their names are their numbers."""
        return Panel.of({str(k): series for k, series in enumerate(self.values)}, self.season)


def store_panel(source: PanelSource) -> Path:
    """Writes the series of a source to the cache, unless they are there; returns the file."""
    key = {**source.key(), "stored": COLUMNS}
    return cached("panels", key, lambda to: save_panel(source.pieces(), to / FILE)) / FILE


def save_panel(pieces: Iterable[Panel], path: Path) -> None:
    """Writes a panel piece by piece: a row is a series, a column its `name`, `start` or `target`.

    Season, horizon and frequency of the first piece go into the metadata of the schema; all are
    stored in the type of its values.
    """
    writer: Any = None
    schema: Any = None
    with pa.OSFile(str(path), "wb") as file:
        for panel in pieces:
            schema = schema or _schema(panel)
            writer = writer or pa.ipc.new_file(file, schema)
            writer.write_batch(_rows(panel.compact(), schema))
        writer.close()


def load_panel(path: Path) -> Panel:
    """Opens a panel; its values stay on disk."""
    first, length = read_spans(path)
    table = pa.ipc.open_file(_buffer(path)).read_all()
    facts = table.schema.metadata
    name = np.array(table["name"].to_pylist(), dtype=np.str_)
    start = table["start"].to_numpy()
    season, horizon = int(facts[b"season"]), int(facts[b"horizon"]) or None
    frequency = facts[b"frequency"].decode()
    return Panel(map_values(path), first, length, name, start, season, horizon, frequency)


def map_values(path: Path) -> NDArray[np.floating[Any]]:
    """Maps the whole file as numbers; `read_spans` locates the values of series among them.

    Arrow aligns its columns, so the values of a series lie in the file as they do in memory.
    """
    buffer = _buffer(path)
    dtype = _dtype(pa.ipc.open_file(buffer))
    return np.frombuffer(buffer, dtype, count=buffer.size // dtype.itemsize)


def read_spans(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Reads where each series begins in the mapped file, and its length in steps, `[series]`."""
    buffer = _buffer(path)
    file = pa.ipc.open_file(buffer)
    size = _dtype(file).itemsize
    first, length = [], []
    for k in range(file.num_record_batches):
        target = file.get_batch(k).column("target")
        offsets = target.offsets.to_numpy().astype(np.int64)
        begin = (target.values.buffers()[1].address - buffer.address) // size
        first.append(begin + offsets[:-1])
        length.append(np.diff(offsets))
    return np.concatenate(first), np.concatenate(length)


def _numbers(series: Any, number: int) -> NDArray[np.float64]:
    """Returns a series as an array; tensors may be on any device, and of any type."""
    plain = type(series) is np.ndarray and series.dtype.kind in "iuf"
    listed = series.tolist() if hasattr(series, "tolist") and not plain else series
    try:
        values = np.array(listed, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Arrays: series {number} is no list of numbers ({error}); give one, NaN where a "
            "value is missing."
        ) from error
    if values.ndim != 1:
        raise ValueError(
            f"Arrays: series {number} is {'a number' if not values.ndim else 'a list of lists'}; "
            "give a list of series, which are lists of numbers."
        )
    return values


def _observed(name: str, values: NDArray[np.float64]) -> slice:
    """Returns where a series lies, without missing values on either side."""
    large = np.abs(values) > LARGEST
    if large.any():
        at = int(large.argmax())
        found = "an infinite value" if np.isinf(values[at]) else f"the value {values[at]:g}"
        raise ValueError(
            f"Series {name!r} has {found} at position {at}, more than float32 holds "
            f"({LARGEST:.1e}); mark missing values as NaN, or change the unit."
        )
    (observed,) = np.nonzero(~np.isnan(values))
    if not len(observed):
        raise ValueError(f"Series {name!r} has no finite value; leave it out.")
    return slice(int(observed[0]), int(observed[-1]) + 1)


def _schema(panel: Panel) -> Any:
    facts = {
        "season": str(panel.season),
        "horizon": str(panel.horizon or 0),
        "frequency": panel.frequency,
    }
    values = pa.list_(pa.from_numpy_dtype(panel.values.dtype))
    types = [pa.string(), pa.int64(), values]
    return pa.schema(list(zip(COLUMNS, types, strict=True)), facts)


def _dtype(file: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(file.schema.field("target").type.value_type.to_pandas_dtype())
    return dtype


def _rows(panel: Panel, schema: Any) -> Any:
    offsets = np.append(panel.first, len(panel.values)).astype(np.int32)
    values = pa.array(panel.values, schema.field("target").type.value_type)
    target = pa.ListArray.from_arrays(pa.array(offsets), values)
    name = pa.array(panel.name.tolist(), pa.string())
    return pa.record_batch([name, pa.array(panel.start), target], schema=schema)


def _buffer(path: Path) -> Any:
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()
