"""Tables in files, whose columns are read by name, with file and row in every error."""

from __future__ import annotations

import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import feather, parquet

from framework.data.cache import cached, fingerprint
from framework.data.files import ENCODING
from framework.data.precision import LARGEST

COMPRESSIONS = (".gz", ".bz2", ".xz", ".zip", ".zst")
SEPARATORS = (";", "\t", "|")  # of columns, in place of commas
UNNAMED = r"Unnamed: \d+"  # what pandas calls columns without a name
FRAME = "DataFrame.parquet"  # a table that was given in memory
SHOWN = 12  # columns that an error lists
DAMAGED = (ValueError, OSError, EOFError, zlib.error, pa.ArrowException)  # what readers raise


def table_path(table: Any, option: str) -> Path:
    """Returns the path of a table; one in memory is written to the cache as Parquet.

    Args:
        table: A path, a data frame of pandas, or what has `to_pandas`, as polars and Arrow have.
        option: What the user set to it, for the error: class and argument.

    Raises:
        ValueError: If it is neither, or the data frame cannot be written.
    """
    if isinstance(table, str | PathLike):
        return Path(table)
    frame = table.to_pandas() if hasattr(table, "to_pandas") else table
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(
            f"{option} is a {type(table).__name__}; give the path of a table, or a data frame."
        )
    try:
        content = frame.to_parquet()
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise ValueError(
            f"{option}: the data frame cannot be written as Parquet "
            f"({error.args[0]}); give columns of one type each, named by texts."
        ) from error

    def write(folder: Path) -> None:
        (folder / FRAME).write_bytes(content)

    return cached("frames", {"frame": fingerprint(content)}, write) / FRAME


class TableFile:
    """A table in a file, whose columns are read by name.

    Rows are counted from 1, without the header.

    Args:
        path: A `.csv` (also compressed, such as `.csv.gz`), `.parquet`, `.arrow` or `.feather`
            file.
        texts: Columns of a CSV file that hold names: they are read as they are written, so that
            "NA" or "007" is a name like any other.

    Raises:
        ValueError: If the file is of another kind, or cannot be read.
    """

    def __init__(self, path: Path, texts: Sequence[str] = ()) -> None:
        self.path = path
        suffixes = [suffix for suffix in path.suffixes if suffix not in COMPRESSIONS]
        read = READERS.get(suffixes[-1].lower() if suffixes else "")
        if read is None:
            raise ValueError(f"{str(path)!r} is none of {', '.join(READERS)}; convert it.")
        try:
            self._table: Any = read(path, texts)
            columns, self._indexes = self.columns, self._named_indexes()
        except DAMAGED as error:
            raise ValueError(
                f"{str(path)!r} cannot be read as a table ({str(error).splitlines()[0]}); "
                "check the file."
            ) from error
        twice = [name for name, number in Counter(columns).items() if number > 1]
        if twice:
            raise ValueError(
                f"{str(path)!r} has several columns {twice[0]!r}; give each a name of its own."
            )

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self._table.column_names if self._is_arrow else self._table.columns)

    def others(self, *known: str) -> list[str]:
        """The names of the columns but for known ones.

        The index of a data frame is left out. In a CSV file it is a column without a name; such
        columns are left out with a warning.
        """
        others = [name for name in self.columns if name not in (*known, *self._indexes)]
        unnamed = [name for name in others if re.fullmatch(UNNAMED, name)]
        if unnamed:
            warnings.warn(
                f"{str(self.path)!r}: column {unnamed[0]!r} has no name in the file, as the index "
                "that pandas writes; it is left out. Name it to read it.",
                stacklevel=2,
            )
        return [name for name in others if name not in unnamed]

    def column(self, name: str) -> Any:
        """Reads a column as a pandas series; empty cells are missing.

        Raises:
            ValueError: If there is no such column.
        """
        if name not in self._frame.columns:
            raise self._unknown(name, self.columns)
        return self._frame[name]

    def names(self, name: str) -> Any:
        """Reads a column of names as a pandas series of text.

        Raises:
            ValueError: If there is no such column, or a cell is empty.
        """
        column = self.column(name)
        text = column.astype(str)
        empty = (column.isna() | (text == "")).to_numpy()
        if empty.any():
            raise ValueError(f"{self.place(name, empty)} is empty; give every row its name.")
        return text

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Reads a column of numbers `[rows]`, NaN where missing.

        Raises:
            ValueError: If there is no such column, or a cell holds something else, or a number
                that is too large for float32.
        """
        column = self.column(name)
        try:
            if column.dtype.kind in "mMc":  # times would pass as whole numbers
                raise TypeError(f"it holds {column.dtype}")
            values = np.asarray(pd.to_numeric(column).astype("float64"))
        except (ValueError, TypeError) as error:
            wrong = np.array([not _is_number(cell) for cell in column])
            cell = column[wrong.argmax()]
            hint = "choose another column, or correct it"
            if isinstance(cell, str) and cell.startswith("["):
                hint = "a cell of CSV holds one number, write lists as Parquet"
            raise ValueError(
                f"{self.place(name, wrong)} is {cell!r}, which is not a number; {hint}."
            ) from error
        large = np.isfinite(values) & (np.abs(values) > LARGEST)
        if large.any():
            raise ValueError(
                f"{self.place(name, large)} is {values[large.argmax()]:g}, larger than float32 "
                f"holds ({LARGEST:.1e}); change the unit, or correct it."
            )
        return values

    def arrays(self, name: str) -> NDArray[Any]:
        """Reads a column of values, or of lists of numbers of one length, as `[rows, ...]`.

        Raises:
            ValueError: If there is no such column, a value is missing, or lists differ in length.
        """
        table = self._arrow
        if name not in table.column_names:
            raise self._unknown(name, table.column_names)
        values, shape = table[name].combine_chunks(), [table.num_rows]
        if not table.num_rows:
            raise ValueError(f"{str(self.path)!r} has no rows; column {name!r} is empty.")
        while _is_list(values.type) and not values.null_count:
            lengths = pc.list_value_length(values).to_numpy()
            self._refuse(
                name, lengths != lengths[0], "holds lists that differ in length; give equal ones"
            )
            self._refuse(name, lengths == 0, "is an empty list; give numbers")
            values = values.flatten()
            shape.append(int(lengths[0]))
        self._refuse(name, pc.is_null(values).to_numpy(zero_copy_only=False), "has gaps; fill it")
        return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)

    def _refuse(self, name: str, wrong: NDArray[np.bool_], problem: str) -> None:
        """Raises an error if a value is wrong; every row has equally many."""
        if wrong.any():
            rows = wrong.reshape(self._arrow.num_rows, -1).max(1)
            raise ValueError(f"{self.place(name, rows)} {problem}.")

    def place(self, name: str, wrong: NDArray[np.bool_]) -> str:
        """Names the file, a column, and the first of the rows `[rows]` that are wrong."""
        return f"{str(self.path)!r}: column {name!r} in row {wrong.argmax() + 1}"

    def _unknown(self, name: str, columns: Sequence[str]) -> ValueError:
        known = ", ".join(columns[:SHOWN])
        other = next((mark for mark in SEPARATORS if len(columns) == 1 and mark in known), None)
        hint = f"separate the columns by commas, not by {other!r}" if other else f"it has {known}"
        return ValueError(f"{str(self.path)!r} has no column {name!r}; {hint}.")

    def _named_indexes(self) -> list[str]:
        """Returns the columns that were an index when pandas wrote the file."""
        described = (self._table.schema.pandas_metadata or {}) if self._is_arrow else {}
        return [name for name in described.get("index_columns", ()) if isinstance(name, str)]

    @property
    def _is_arrow(self) -> bool:
        return isinstance(self._table, pa.Table)

    @cached_property
    def _frame(self) -> Any:
        # Without the metadata of pandas, names are text, and an index is a column
        return self._table.to_pandas(ignore_metadata=True) if self._is_arrow else self._table

    @cached_property
    def _arrow(self) -> Any:
        if self._is_arrow:
            return self._table
        try:
            return pa.Table.from_pandas(self._table)
        except (OverflowError, pa.ArrowException):  # numbers and text, or numbers too large
            mixed = self._table.select_dtypes(object).columns
            return pa.Table.from_pandas(self._table.astype(dict.fromkeys(mixed, str)))


def _read_csv(path: Path, texts: Sequence[str]) -> Any:
    """Reads a CSV file; columns keep their names, which pandas would make unique."""
    options: dict[str, Any] = {"encoding": ENCODING, "index_col": False, "low_memory": False}
    plain = {"dtype": str, "keep_default_na": False, **options}  # no guesses what is missing
    header = pd.read_csv(path, header=None, nrows=1, **plain).iloc[0]
    names = [str(name) or f"Unnamed: {k}" for k, name in enumerate(header)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = pd.read_csv(path, **options).set_axis(names, axis=1)
        except pd.errors.ParserWarning as error:
            other = next((mark for mark in SEPARATORS if mark in names[0]), None)
            hint = f"; separate the columns by commas, not by {other!r}, and write 1.5, not 1,5"
            raise ValueError(
                f"its rows have more cells than its header{hint if other else ''}"
            ) from error
    for name in set(texts) & set(names):
        column = pd.read_csv(path, usecols=[names.index(name)], **plain)
        frame[name] = column.iloc[:, 0].to_numpy()
    return frame


def _read_parquet(path: Path, _: Sequence[str]) -> Any:
    return _validated(parquet.read_table(path, partitioning=None))


def _read_arrow(path: Path, _: Sequence[str]) -> Any:
    return _validated(feather.read_table(path))


def _validated(table: Any) -> Any:
    """Checks that offsets and texts are intact, which reading does not."""
    table.validate(full=True)
    return table


READERS: dict[str, Callable[[Path, Sequence[str]], Any]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
    ".pq": _read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
}
"""How files are read, by their extension."""


def _is_number(cell: Any) -> bool:
    """Whether pandas reads a cell as a number, or as missing; unlike Python, not 1_000."""
    try:
        pd.to_numeric(pd.Series([cell]))
    except (TypeError, ValueError):
        return cell is None or cell is pd.NA
    return not isinstance(cell, pd.Timestamp | pd.Timedelta | complex)


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
