"""Finds files by path or pattern, and reads text from them, with file and row in every error."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

ENCODING = "utf-8-sig"  # UTF-8 with or without a byte-order mark


def matching_files(pattern: str, option: str) -> list[Path]:
    """Lists the files that a path or a pattern names, in the order of their names.

    A path that exists is taken as it is, even if it reads as a pattern, such as `run[1]/a.txt`.

    Args:
        pattern: A path, or a glob pattern in which `**` stands for any folders.
        option: What the user set to it, for the error: class and argument.

    Raises:
        ValueError: If there is no such file.
    """
    if Path(pattern).is_file():
        return [Path(pattern)]
    paths = sorted(Path(path) for path in glob(pattern, recursive=True) if Path(path).is_file())
    if not paths:
        raise ValueError(f"{option}={pattern!r} matches no file; check the path.")
    return paths


def existing_file(path: str | Path, option: str) -> Path:
    """Returns the path of a file.

    Args:
        path: The path.
        option: What the user set to it, for the error: class and argument.

    Raises:
        ValueError: If there is no such file.
    """
    if not Path(path).is_file():
        raise ValueError(f"{option}={str(path)!r} is not a file; check the path.")
    return Path(path)


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8.

    Raises:
        ValueError: If it is in another encoding.
    """
    try:
        return path.read_text(encoding=ENCODING)
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{str(path)!r} is not UTF-8 text (line {row}, byte {error.start}); convert it first."
        ) from error


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a file with one JSON object a line, without holding all of it in memory.

    Args:
        path: The file; gzipped if named `.gz`.

    Yields:
        The number of the line, from 1 on, and the object.

    Raises:
        ValueError: If a line is not a JSON object, or the file is damaged.
    """
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding=ENCODING) as file:
            for number, line in enumerate(file, 1):
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise ValueError(f"found {type(found).__name__}")
                yield number, found
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read as JSON lines (line {max(1, number)}: {error}); "
            "write one object a line."
        ) from error
