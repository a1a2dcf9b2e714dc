"""Checksums of checkpoints: in the comment of a file, in a list beside the shards of a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import IO

LIST = "checksums.json"  # in a folder of shards; written last
KIND = b"sha256:"
NO_COMMENT = b"\0\0"  # the last bytes of a zip file: the length of its comment
END = b"PK\x05\x06"  # opens the last record of a zip file, which ends in its comment
COMMENT_AT = 20  # where the length of the comment stands in that record
COMMENT = len(KIND) + hashlib.sha256().digest_size * 2
CHUNK = 1 << 22


class ChecksummedFile:
    """A file that `torch.save` can write to, and that then ends with the checksum of its content.

    The checksum is the comment of the zip file, so that it moves with the file, is there as soon
    as the file is, and is overlooked by whoever does not know it. An error of the disk is raised
    by `seal`: torch would report another one in its place.

    Args:
        file: Where to write.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._sum = file, hashlib.sha256()
        self._failure: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        """Appends bytes, unless an earlier write failed."""
        if self._failure is None:
            self._sum.update(data)
            try:
                self._file.write(data)
            except OSError as error:
                self._failure = error
        return memoryview(data).nbytes

    def flush(self) -> None:
        """Does nothing: `seal` flushes."""

    def seal(self) -> None:
        """Appends the checksum.

        Raises:
            OSError: If anything could not be written.
        """
        if self._failure is not None:
            raise self._failure
        self._file.seek(-len(NO_COMMENT), 2)
        self._file.write(COMMENT.to_bytes(2, "little") + _comment(self._sum))
        self._file.flush()


def seal_folder(folder: Path, sums: Mapping[str, str]) -> None:
    """Writes the list of the checksums of a folder, by which it is known to be complete.

    Args:
        folder: The folder, whose other files are written.
        sums: The checksum of each of its files, by name.
    """
    text = json.dumps(sums, indent=1, sort_keys=True)
    (folder / LIST).write_text(text, encoding="utf-8")


def checksums(files: Iterable[Path]) -> dict[str, str]:
    """Returns the sha256 of files by their names."""
    return {path.name: _sum_of(path, path.stat().st_size).hexdigest() for path in files}


def is_intact(path: Path, part: slice = slice(None)) -> bool:
    """Returns whether a file or a folder of shards is as it was written.

    What has no checksum, as checkpoints of earlier versions, passes. Checksums are remembered as
    long as the files do not change, since a command line reads a checkpoint several times.

    Args:
        path: The file or the folder.
        part: Which files of a folder are checked, in the order of their names. Processes that
            check a part each divide the reading.
    """
    if path.is_dir():
        return _agrees(path, lambda names: names[part])
    return _check_file(path, _state(path))


def is_part_intact(folder: Path, name: str) -> bool:
    """Returns whether one file of a folder of shards is as it was written, and none is missing.

    Args:
        folder: The folder; one without a list of checksums passes.
        name: The file, the only one that is read.
    """
    return _agrees(folder, lambda names: [name])


def _agrees(folder: Path, choose: Callable[[list[str]], list[str]]) -> bool:
    """Returns whether all files of a list are there, and some have the checksums in it."""
    if not (folder / LIST).exists():
        return True
    try:
        expected = json.loads((folder / LIST).read_text(encoding="utf-8"))
        states = {name: _state(folder / name) for name in sorted(expected)}
        return all(
            _known_sum(folder / name, states[name]) == expected[name] for name in choose([*states])
        )
    except (OSError, ValueError, TypeError, KeyError):  # a file is gone, or the list is damaged
        return False


def _state(file: Path) -> tuple[int, int, int]:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4096)
def _known_sum(file: Path, state: tuple[int, int, int]) -> str:
    return _sum_of(file, file.stat().st_size).hexdigest()


@lru_cache(maxsize=64)
def _check_file(path: Path, state: tuple[int, int, int]) -> bool:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - COMMENT_AT - len(NO_COMMENT) - COMMENT))
        record = file.read()
    start = record.rfind(END)
    stated, comment = record[start + COMMENT_AT :][:2], record[start + COMMENT_AT + 2 :]
    if start < 0 or (stated == NO_COMMENT and not comment):
        return True
    content = _sum_of(path, size - len(comment) - len(NO_COMMENT))
    content.update(NO_COMMENT)
    return len(comment) == int.from_bytes(stated, "little") and comment == _comment(content)


def _comment(content: hashlib._Hash) -> bytes:
    return KIND + content.hexdigest().encode()


def _sum_of(path: Path, size: int) -> hashlib._Hash:
    """Returns the sha256 of the first `size` bytes of a file."""
    content = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (data := file.read(min(size, CHUNK))):
            content.update(data)
            size -= len(data)
    return content
