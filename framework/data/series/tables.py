"""Tables: panels in files, with one row per value or one column per series."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from framework.data.cache import fingerprint
from framework.data.files import TableFile, existing_file
from framework.data.series.calendars import Calendar
from framework.data.series.panels import Panel, PanelSource

TRIED = 32  # series whose time stamps are inspected to find the frequency


class LongTable(PanelSource):
    """A file with one row per value, in any order. Steps without a row are missing values.

    Args:
        path: A `.csv` (also compressed, such as `.csv.gz`), `.parquet`, `.arrow` or `.feather`
            file.
        id: Column that names the series.
        time: Column with time stamps (ISO 8601), or with whole numbers.
        value: Column with the values.
        frequency: Pandas frequency of the time stamps, such as `30min`, `D` or `MS`; inferred if
            not given.

    Raises:
        ValueError: If the file or a column is missing or cannot be read, a value is infinite, or
            two values of a series fall on one step.
    """

    def __init__(
        self,
        path: str,
        id: str = "id",
        time: str = "time",
        value: str = "value",
        frequency: str | None = None,
    ) -> None:
        self.path, self.id, self.time, self.value = Path(path), id, time, value
        self.frequency = frequency

    def key(self) -> dict[str, object]:
        """Digests the file, and names the columns."""
        columns = [self.id, self.time, self.value]
        content = fingerprint(existing_file(self.path, "LongTable: path"))
        return {"long": content, "columns": columns, "frequency": self.frequency}

    def read(self) -> Panel:
        """Reads the file and puts the values on the grid."""
        table = TableFile(self.path, texts=[self.id])
        rows = {
            "name": table.names(self.id),
            "time": table.column(self.time),
            "value": _values(table, self.value),
        }
        return assemble(pd.DataFrame(rows), self.frequency, repr(str(self.path)))


class WideTable(PanelSource):
    """A file with one column per series, and one for the time. Empty cells are missing values.

    Args:
        path: A `.csv` (also compressed, such as `.csv.gz`), `.parquet`, `.arrow` or `.feather`
            file.
        time: Column with time stamps (ISO 8601), or with whole numbers.
        columns: The series to read; all other columns if not given.
        frequency: Pandas frequency of the time stamps, such as `30min`, `D` or `MS`; inferred if
            not given.

    Raises:
        ValueError: If the file or a column is missing or cannot be read, a value is infinite, or
            two values of a series fall on one step.
    """

    def __init__(
        self,
        path: str,
        time: str = "time",
        columns: list[str] | None = None,
        frequency: str | None = None,
    ) -> None:
        self.path, self.time, self.columns, self.frequency = Path(path), time, columns, frequency

    def key(self) -> dict[str, object]:
        """Digests the file, and names the columns."""
        columns = [self.time, self.columns]
        content = fingerprint(existing_file(self.path, "WideTable: path"))
        return {"wide": content, "columns": columns, "frequency": self.frequency}

    def read(self) -> Panel:
        """Reads the file and puts the values on the grid."""
        table = TableFile(self.path)
        time, origin = table.column(self.time), repr(str(self.path))
        names = self.columns or [name for name in table.columns if name != self.time]
        if not names:
            raise ValueError(
                f"{origin} has no column besides {self.time!r}; a wide table has one per series."
            )
        columns = {name: _values(table, name) for name in names}
        parts = [{"name": name, "time": time, "value": value} for name, value in columns.items()]
        rows = pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)
        return assemble(rows, self.frequency, origin)


def assemble(rows: pd.DataFrame, frequency: str | None, origin: str) -> Panel:
    """Puts rows with the columns name, time and value on the grid, in the order of the names."""
    stamps, calendar = _grid(rows, frequency, origin)
    observed = rows["value"].notna().to_numpy()
    for name, some in pd.Series(observed).groupby(rows["name"]).any().items():
        if not some:
            raise ValueError(f"{origin}: series {name!r} has no finite value; leave it out.")
    if not observed.any():
        raise ValueError(f"{origin} has no finite value; check its rows.")
    series, names = pd.factorize(rows["name"][observed], sort=True)
    stamps, value = stamps[observed], rows["value"].to_numpy()[observed]
    step = calendar.steps(stamps)
    order = np.lexsort((step, series))
    series, step, value, stamps = series[order], step[order], value[order], stamps[order]
    again = (np.diff(series) == 0) & (np.diff(step) == 0)
    if again.any():
        at = again.argmax()
        raise ValueError(
            f"{origin}: series {names[series[at]]!r} has two values at the step of time "
            f"{stamps[at]}; keep one."
        )
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    ends = np.append(begins[1:], len(series)) - 1
    length = step[ends] - step[begins] + 1
    first = np.cumsum(length) - length
    values = np.full(length.sum(), np.nan, dtype=np.float32)
    values[first[series] + step - step[begins][series]] = value
    return Panel(
        values,
        first,
        length,
        np.array(names, dtype=np.str_),
        calendar.starts(stamps[begins]),
        calendar.season,
        frequency=calendar.frequency,
    )


def _grid(rows: pd.DataFrame, frequency: str | None, origin: str) -> tuple[Any, Calendar]:
    """Reads the time column `[N]` and finds its calendar."""
    time = rows["time"]
    if time.isna().any():
        row = time.isna().to_numpy().argmax() + 1
        raise ValueError(
            f"{origin}: the time column is empty in row {row}; give every row its time."
        )
    if pd.api.types.is_numeric_dtype(time) and frequency is None:
        if (time % 1 != 0).any():
            raise ValueError(
                f"{origin}: the time column has fractions; number the steps, or give time stamps."
            )
        since = time - time.groupby(rows["name"]).transform("min")
        step = int(np.gcd.reduce(since.to_numpy(np.int64)))
        return time.to_numpy(np.int64), Calendar.of_numbers(max(1, step))
    try:
        stamps = pd.DatetimeIndex(pd.to_datetime(time, utc=True, format="ISO8601")).tz_localize(
            None
        )
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{origin}: the time column cannot be read as time stamps ({error}); "
            "write them as 2026-01-31 or 2026-01-31T12:00."
        ) from error
    if frequency is not None:
        return stamps, Calendar.parse(frequency)
    groups = islice(rows.groupby("name").indices.values(), TRIED)
    try:
        return stamps, Calendar.infer([stamps[group] for group in groups])
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from error


def _values(table: TableFile, name: str) -> NDArray[np.float64]:
    """Reads a column of values, NaN where missing."""
    values = table.numbers(name)
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(f"{table.place(name, infinite)} is infinite; leave missing values empty.")
    return values
