"""Tables: panels in files, with one row per value or one column per series."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from framework.data.cache import fingerprint
from framework.data.files import existing_file
from framework.data.series.columns import assemble_covariates, check_columns
from framework.data.series.covariates import Covariates
from framework.data.series.grids import (
    Rows,
    refuse_holes,
    refuse_mixed_frequencies,
    refuse_repetitions,
    refuse_unclear_days,
)
from framework.data.series.panels import Panel, PanelSource, compress
from framework.data.series.stamps import read_times, spell_dates
from framework.data.table_file import TableFile, table_path

DATES = 3  # columns named by dates make a table that is transposed
READING: dict[str, object] = {"reading": 2}
"""Part of the keys: increase it when the same file is read to other values."""


class LongTable(PanelSource):
    """A file with one row per value, in any order. Steps without a row are missing values.

    Names of series are read as they are written: 007 and 7 are two series. Other columns are not
    read.

    Args:
        path: A `.csv` (also compressed, such as `.csv.gz`), `.parquet`, `.arrow` or `.feather`
            file; in Python a pandas `DataFrame`, too.
        id: Column that names the series.
        time: Column with time stamps (ISO 8601), or with whole numbers: those that all spell
            dates, such as 201501 or 20240131, are dates, others number the steps. Of time
            stamps with UTC offsets, steps within a day count in UTC, others in local dates.
        value: Column with the values.
        frequency: Pandas frequency of the time stamps, such as `30min`, `D` or `MS`; inferred if
            not given.
        known: Columns of numbers that are known in the future too, such as prices that are set; a
            list, or names separated by commas. Rows behind the last value of a series hold them
            for forecasts.
        past: Columns of numbers that are known up to the present; cells may be empty.
        static: Columns with one number for each series.

    Raises:
        ValueError: If the file or a column is missing or cannot be read, a value is infinite, two
            values of a series fall on one step, or series differ in their frequency.
    """

    def __init__(
        self,
        path: str,
        id: str = "id",
        time: str = "time",
        value: str = "value",
        frequency: str | None = None,
        known: str | list[str] | None = None,
        past: str | list[str] | None = None,
        static: str | list[str] | None = None,
    ) -> None:
        self.path, self.id = table_path(path, "LongTable: path"), id
        self.time, self.value = time, value
        self.frequency = frequency
        self.beside = check_columns(
            "LongTable", {"known": known, "past": past, "static": static}, (id, time, value)
        )

    def key(self) -> dict[str, object]:
        """Digests the file, and names the columns."""
        columns = [self.id, self.time, self.value]
        content = fingerprint(existing_file(self.path, "LongTable: path"))
        return {"long": content, "columns": columns, "frequency": self.frequency} | READING

    def read(self) -> Panel:
        """Reads the file and puts the values on the grid."""
        return assemble(self._rows(self._table), self.frequency, repr(str(self.path)))

    def covariates(self) -> Covariates | None:
        """Reads the columns beside the values, and puts them on the grid of the panel."""
        if not self.beside:
            return None
        table, origin = self._table, repr(str(self.path))
        rows = self._rows(table)
        panel = assemble(rows, self.frequency, origin)
        times = read_times(rows["time"], rows["name"], self.frequency, origin)
        columns = {column: _numbers(table, *column) for column in self.beside}
        return assemble_covariates(rows, columns, times, panel, origin)

    @property
    def _table(self) -> TableFile:
        return TableFile(self.path, texts=[self.id])

    def _rows(self, table: TableFile) -> pd.DataFrame:
        rows = {
            "name": table.names(self.id),
            "time": table.column(self.time),
            "value": _values(table, self.value),
        }
        return pd.DataFrame(rows)


class WideTable(PanelSource):
    """A file with one column per series, and one for the time. Empty cells are missing values.

    Args:
        path: A `.csv` (also compressed, such as `.csv.gz`), `.parquet`, `.arrow` or `.feather`
            file; in Python a pandas `DataFrame`, too.
        time: Column with time stamps (ISO 8601), or with whole numbers: those that all spell
            dates, such as 201501 or 20240131, are dates, others number the steps. Of time
            stamps with UTC offsets, steps within a day count in UTC, others in local dates.
        columns: The series to read; all other columns if not given.
        frequency: Pandas frequency of the time stamps, such as `30min`, `D` or `MS`; inferred if
            not given.

    Raises:
        ValueError: If the file or a column is missing or cannot be read, a value is infinite, two
            values of a series fall on one step, or series differ in their frequency.
    """

    def __init__(
        self,
        path: str,
        time: str = "time",
        columns: list[str] | None = None,
        frequency: str | None = None,
    ) -> None:
        self.path = table_path(path, "WideTable: path")
        self.time, self.columns, self.frequency = time, columns, frequency

    def key(self) -> dict[str, object]:
        """Digests the file, and names the columns."""
        columns = [self.time, self.columns]
        content = fingerprint(existing_file(self.path, "WideTable: path"))
        return {"wide": content, "columns": columns, "frequency": self.frequency} | READING

    def read(self) -> Panel:
        """Reads the file and puts the values on the grid."""
        table = TableFile(self.path)
        time, origin = table.column(self.time), repr(str(self.path))
        names = self.columns or self._series(table)
        columns = {name: _values(table, name) for name in names}
        parts = [{"name": name, "time": time, "value": value} for name, value in columns.items()]
        rows = pd.concat([pd.DataFrame(part) for part in parts])
        return assemble(rows, self.frequency, origin)

    def _series(self, table: TableFile) -> list[str]:
        """Returns the columns that are series, all but that of the time."""
        names, origin = table.others(self.time), repr(str(self.path))
        if not names:
            raise ValueError(
                f"{origin} has no column besides {self.time!r}; a wide table has one per series."
            )
        if len(names) >= DATES and spell_dates(names):
            raise ValueError(
                f"{origin}: columns are named by dates ({names[0]}, {names[1]}, …), but a wide "
                "table has a column per series and a row per time; transpose it, or name the "
                "columns to read."
            )
        return names


def assemble(rows: pd.DataFrame, frequency: str | None, origin: str) -> Panel:
    """Puts rows with the columns name, time and value on a grid, in the order of the names.

    The index of the rows is that of the file, from 0 on; messages name it.
    """
    observed = rows["value"].notna().to_numpy()
    for name, some in pd.Series(observed).groupby(rows["name"].to_numpy()).any().items():
        if not some:
            raise ValueError(f"{origin}: series {name!r} has no finite value; leave it out.")
    if not observed.any():
        raise ValueError(f"{origin} has no finite value; check its rows.")
    times = read_times(rows["time"], rows["name"], frequency, origin)
    series, names = pd.factorize(rows["name"][observed], sort=True)
    at = np.flatnonzero(observed)
    order = np.lexsort((times.steps[at], series))
    series, at = series[order], at[order]
    _check(Rows(rows["name"], times, rows.index.to_numpy() + 1, origin), at, series)
    step, value = times.steps[at], rows["value"].to_numpy()[at]
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    ends = np.append(begins[1:], len(series)) - 1
    length = step[ends] - step[begins] + 1
    first = np.cumsum(length) - length
    values = np.full(length.sum(), np.nan)
    values[first[series] + step - step[begins][series]] = value
    return Panel(
        compress(values, first),
        first,
        length,
        np.array(names, dtype=np.str_),
        times.calendar.starts(times.times[at[begins]]),
        times.calendar.season,
        frequency=times.calendar.frequency,
    )


def _check(rows: Rows, at: NDArray[np.int64], series: NDArray[np.int64]) -> None:
    """Refuses rows that do not lie on the grid, one value a step."""
    refuse_repetitions(rows, at, series)
    refuse_mixed_frequencies(rows, at, series)
    refuse_unclear_days(rows, at, series)
    if rows.times.calendar.numbered:
        refuse_holes(rows)


def _numbers(table: TableFile, name: str, kind: str) -> NDArray[np.float64]:
    """Reads a column of covariates, NaN where unknown."""
    try:
        return _values(table, name)
    except ValueError as error:
        if name not in table.columns:
            raise
        raise ValueError(
            f"{error} A {kind} column holds numbers: of categories, name a column of 0 and 1 for "
            "each."
        ) from error


def _values(table: TableFile, name: str) -> NDArray[np.float64]:
    """Reads a column of values, NaN where missing."""
    values = table.numbers(name)
    infinite = np.isinf(values)
    if infinite.any():
        raise ValueError(f"{table.place(name, infinite)} is infinite; leave missing values empty.")
    return values
