"""Reads texts from files and rows: UTF-8, with file and row in every error."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from framework.data.files import ENCODING, existing_file

JSON = (".jsonl", ".json", ".ndjson", ".gz")  # extensions of files of JSON lines
KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}
PROMPT = "prompt"  # name of a text to continue
AS_THEY_ARE = "line ends of the file"  # how `read_text` reads, for digests of what it has read
MESSAGE = {"role", "content"}  # keys of a message of a chat


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8; its lines end as they do there, CR LF for example.

    Raises:
        ValueError: If it is in another encoding.
    """
    try:
        return path.read_bytes().decode(ENCODING)
    except UnicodeDecodeError as error:
        row = error.object[: error.start].count(b"\n") + 1
        raise ValueError(
            f"{str(path)!r} is not UTF-8 text (line {row}, byte {error.start}); convert it first."
        ) from error


def read_json_lines(
    path: Path, begin: int = 0, end: int | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads a file with one JSON object a line, without holding all of it in memory.

    Blank lines are skipped.

    Args:
        path: The file; gzipped if named `.gz`.
        begin: Only lines that begin at this byte or later; 0 of a file that is gzipped.
        end: Only lines that begin before this byte; None for all.

    Yields:
        The number of the line among those that are read, from 1 on, and the object.

    Raises:
        ValueError: If a line is not a JSON object, or the file is damaged.
    """
    number = 1
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
            if begin:  # the line that ends there belongs to those before
                file.seek(begin - 1)
                file.readline()
            while (end is None or file.tell() < end) and (line := file.readline()):
                if line.strip():
                    yield number, _object(line, first=begin == 0 and number == 1)
                number += 1
    except (ValueError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read as JSON lines ({_line(number, begin)}: {error}); "
            "write one object a line, in UTF-8."
        ) from error


def json_texts(
    path: Path,
    column: str,
    begin: int = 0,
    end: int | None = None,
    hint: str = "set column to the name of the text, or rename it",
) -> Iterator[str]:
    """Reads the texts of a file with one JSON object a line; null is an empty one.

    Args:
        path: The file; gzipped if named `.gz`.
        column: Name under which an object has its text.
        begin: Only lines that begin at this byte or later.
        end: Only lines that begin before this byte; None for all.
        hint: What to do about texts of another name, for the error.

    Raises:
        ValueError: If a line is not a JSON object, or has no text of that name.
    """
    for number, found in read_json_lines(path, begin, end):
        place = f"{str(path)!r}: {_line(number, begin)}"
        if column not in found:
            names = ", ".join(map(repr, found)) or "nothing"
            raise ValueError(f"{place} has no {column!r}, it has {names}; {hint}.")
        yield text_of(found[column], column, place)


def text_of(cell: object, column: str, place: str) -> str:
    """Returns the text in a cell; a missing one is empty.

    Args:
        cell: What a row holds.
        column: Name of the column.
        place: File and row, for the error.

    Raises:
        ValueError: If it is no text, or holds half of a surrogate pair, which is no character.
    """
    match cell:
        case None:
            return ""
        case str():
            try:
                cell.encode()
            except UnicodeEncodeError as error:
                half = ascii(cell[error.start])
                raise ValueError(
                    f"{place}: {column!r} holds {half}, half of a surrogate pair, at character "
                    f"{error.start + 1}; write the whole character, or U+FFFD."
                ) from error
            return cell
        case [dict() as first, *_] if first.keys() >= MESSAGE:
            raise ValueError(
                f"{place}: {column!r} is a list of messages (a chat), not a text; write each chat "
                "as one text."
            )
    kind = KINDS.get(type(cell), type(cell).__name__)
    raise ValueError(f"{place}: {column!r} is {kind}, not a text; name the column with the text.")


def read_prompts(path: str, option: str = "prompts") -> list[str]:
    """Reads the prompts of a file.

    Args:
        path: A text file in UTF-8 with a prompt in each line that is not blank; or JSON lines
            (`.jsonl`), objects with a text `prompt`, which may be empty or have several lines.
        option: What the user set to the path, for the error.

    Raises:
        ValueError: If there is no such file, it cannot be read, or it holds no prompt.
    """
    file = existing_file(path, option)
    if file.suffix in JSON:
        prompts = list(json_texts(file, PROMPT, hint=f"name the text {PROMPT!r}"))
    else:
        lines = (line.removesuffix("\r") for line in read_text(file).split("\n"))
        prompts = [line for line in lines if line.strip()]
    if not prompts:
        raise ValueError(f"{option}={path!r} holds no prompt; write one a line.")
    return prompts


def _line(number: int, begin: int) -> str:
    return f"line {number}" + (f" behind byte {begin}" if begin else "")


def _object(line: bytes, first: bool) -> dict[str, Any]:
    """Parses a line, whose errors say what is wrong in it."""
    try:
        found = json.loads(line.decode(ENCODING if first else "utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} of the line is not UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError(f"found {type(found).__name__}")
    return found
