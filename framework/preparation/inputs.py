"""Inputs of `prepare`: files and data sets of documents, cut into parts that are read alone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from framework.data.cache import fingerprint
from framework.data.files import matching_files
from framework.data.texts import AS_THEY_ARE, JSON, json_texts, read_text, text_of

PARQUET = ".parquet"
GZIPPED = ".gz"


@dataclass(frozen=True)
class Part(ABC):
    """A part of an input that a process reads on its own.

    Args:
        path: The file or folder.
        size: Its length in bytes, at least approximately.
    """

    path: Path
    size: int

    @abstractmethod
    def documents(self) -> Iterable[str]:
        """Reads the documents.

        Raises:
            ValueError: If they cannot be read.
        """

    def digest(self) -> str:
        """Identifies the part by its file: name, size and time of the last change."""
        status = self.path.stat()
        return fingerprint(repr(self), f"{status.st_size} {status.st_mtime_ns}")


class TextPart(Part):
    """A file of text, one document."""

    def documents(self) -> Iterable[str]:
        """Reads the document."""
        return [read_text(self.path)]

    def digest(self) -> str:
        """Identifies the part by its file, and by how that is read."""
        return fingerprint(AS_THEY_ARE, super().digest())


@dataclass(frozen=True)
class LinesPart(Part):
    """Lines of a file of JSON lines, those that begin in a range of bytes.

    Args:
        column: Name under which an object has its text.
        begin: First byte of the range.
        end: Byte behind the range; None for the whole file.
    """

    column: str
    begin: int = 0
    end: int | None = None

    def documents(self) -> Iterable[str]:
        """Reads the documents, one a line."""
        return json_texts(self.path, self.column, self.begin, self.end)


@dataclass(frozen=True)
class ParquetPart(Part):
    """Row groups of a Parquet file.

    Args:
        column: Name of the column with the text.
        begin: First group.
        end: Group behind the last.
    """

    column: str
    begin: int
    end: int

    def documents(self) -> Iterator[str]:
        """Reads the documents, one a row."""
        with parquet(self.path) as file:
            for group in range(self.begin, self.end):
                rows = file.read_row_group(group, [self.column])[0].to_pylist()
                for number, cell in enumerate(rows, 1):
                    place = f"{str(self.path)!r}: row {number} of row group {group}"
                    yield text_of(cell, self.column, place)


@dataclass(frozen=True)
class SavedPart(Part):
    """Rows of a data set that `datasets` has written with `save_to_disk`.

    Args:
        column: Name of the column with the text.
        begin: First row.
        end: Row behind the last.
    """

    column: str
    begin: int
    end: int

    def documents(self) -> Iterator[str]:
        """Reads the documents, one a row."""
        import datasets

        rows = datasets.load_from_disk(str(self.path)).select_columns([self.column])
        for number in range(self.begin, self.end):
            place = f"The data set {str(self.path)!r}: row {number + 1}"
            yield text_of(rows[number][self.column], self.column, place)

    def digest(self) -> str:
        """Identifies the part by the state that `datasets` keeps of the data set."""
        return fingerprint(repr(self), self.path / "state.json")


def parts_of(inputs: Sequence[str], column: str, size: int) -> list[Part]:
    """Lists the parts of inputs, in their order.

    Args:
        inputs: Paths or patterns of files (text, JSON lines, Parquet), or folders of data sets.
        column: Name of the text in an object or a row.
        size: Length of a part in bytes, where a file can be cut.

    Raises:
        ValueError: If there is no such file, it cannot be read, or has no such column.
    """
    found: list[Part] = []
    for name in inputs:
        if Path(name).is_dir():
            found += _saved(Path(name), column, size)
            continue
        for path in matching_files(name, "prepare: input"):
            if path.suffix == PARQUET:
                found += _parquet(path, column, size)
            elif path.suffix in JSON:
                found += _lines(path, column, size)
            else:
                found.append(TextPart(path, path.stat().st_size))
    return found


def units_of(parts: Sequence[Part], size: int) -> list[tuple[Part, ...]]:
    """Joins parts that follow each other, until they reach a size in bytes."""
    units: list[tuple[Part, ...]] = []
    unit: list[Part] = []
    length = 0
    for part in parts:
        unit.append(part)
        length += part.size
        if length >= size:
            units.append(tuple(unit))
            unit, length = [], 0
    return [*units, tuple(unit)] if unit else units


def parquet(path: Path) -> Any:
    """Opens a Parquet file.

    Raises:
        ValueError: If it is none.
    """
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        return ParquetFile(path)
    except (ArrowInvalid, OSError) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read as Parquet ({error}); check the file."
        ) from error


def _lines(path: Path, column: str, size: int) -> Iterator[Part]:
    whole = path.stat().st_size
    if path.suffix == GZIPPED:
        yield LinesPart(path, whole, column)
        return
    for begin in range(0, whole, size):
        end = min(begin + size, whole)
        yield LinesPart(path, end - begin, column, begin, end)


def _parquet(path: Path, column: str, size: int) -> Iterator[Part]:
    with parquet(path) as file:
        _require_column(file.schema_arrow.names, column, path)
        facts = file.metadata
        sizes = [facts.row_group(group).total_byte_size for group in range(facts.num_row_groups)]
    begin = 0
    for group in range(len(sizes)):
        length = sum(sizes[begin : group + 1])
        if length >= size or group + 1 == len(sizes):
            yield ParquetPart(path, length, column, begin, group + 1)
            begin = group + 1


def _saved(path: Path, column: str, size: int) -> Iterator[Part]:
    import datasets

    try:
        rows = datasets.load_from_disk(str(path))
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(
            f"prepare: input={str(path)!r} was not written by save_to_disk; give such a folder, "
            f"or files as a pattern such as {str(path / '*.jsonl')!r}."
        ) from error
    if isinstance(rows, dict):
        raise ValueError(
            f"prepare: input={str(path)!r} has the splits {sorted(rows)}; give the folder of one, "
            f"such as {str(path / min(rows))!r}."
        )
    _require_column(rows.column_names, column, path)
    number, whole = len(rows), int(rows.data.nbytes)
    step = max(1, number * size // max(1, whole))
    for begin in range(0, number, step):
        end = min(begin + step, number)
        yield SavedPart(path, whole * (end - begin) // number, column, begin, end)


def _require_column(names: Sequence[str], column: str, path: Path) -> None:
    if column not in names:
        raise ValueError(
            f"{str(path)!r} has the columns {', '.join(map(repr, names))}, not {column!r}; name "
            "the one with the text as --column."
        )
