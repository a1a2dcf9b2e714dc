"""Panels on disk: an Arrow file each, whose values are read in place."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from framework.data.cache import cached
from framework.data.series.panels import Panel, PanelSource

FILE = "panel.arrow"
SCHEMA = pa.schema({"name": pa.string(), "target": pa.list_(pa.float32())})


def stored(source: PanelSource) -> Path:
    """Returns the Arrow file with the series of a source, which is written if there is none."""
    return cached("panels", source.key(), lambda to: save(source.pieces(), to / FILE)) / FILE


def save(pieces: Iterable[Panel], path: Path) -> None:
    """Writes a panel piece by piece: a row is a series, with the columns `name` and `target`.

    Season and horizon, which the first piece tells, go into the metadata of the schema.
    """
    writer: Any = None
    with pa.OSFile(str(path), "wb") as file:
        for panel in pieces:
            facts = {"season": str(panel.season), "horizon": str(panel.horizon or 0)}
            writer = writer or pa.ipc.new_file(file, SCHEMA.with_metadata(facts))
            writer.write_batch(_rows(panel.compact()))
        writer.close()


def load(path: Path) -> Panel:
    """Opens a panel; its values stay on disk."""
    first, length = spans(path)
    table = pa.ipc.open_file(_buffer(path)).read_all()
    facts = table.schema.metadata
    name = np.array(table["name"].to_pylist(), dtype=np.str_)
    season, horizon = int(facts[b"season"]), int(facts[b"horizon"]) or None
    return Panel(flat(path), first, length, name, season, horizon)


def flat(path: Path) -> NDArray[np.float32]:
    """Maps the whole file as numbers; some of them, told by `spans`, are the values of series.

    Arrow aligns its columns, so the values of a series lie in the file as they do in memory.
    """
    buffer = _buffer(path)
    return np.frombuffer(buffer, np.float32, count=buffer.size // 4)


def spans(path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tells where each series begins in the `flat` file, and its length in steps, `[series]`."""
    buffer = _buffer(path)
    file = pa.ipc.open_file(buffer)
    first, length = [], []
    for k in range(file.num_record_batches):
        target = file.get_batch(k).column("target")
        offsets = target.offsets.to_numpy().astype(np.int64)
        begin = (target.values.buffers()[1].address - buffer.address) // 4
        first.append(begin + offsets[:-1])
        length.append(np.diff(offsets))
    return np.concatenate(first), np.concatenate(length)


def _rows(panel: Panel) -> Any:
    offsets = np.append(panel.first, len(panel.values)).astype(np.int32)
    target = pa.ListArray.from_arrays(pa.array(offsets), pa.array(panel.values))
    return pa.record_batch([pa.array(panel.name.tolist(), pa.string()), target], schema=SCHEMA)


def _buffer(path: Path) -> Any:
    with pa.memory_map(str(path)) as file:
        return file.read_buffer()
