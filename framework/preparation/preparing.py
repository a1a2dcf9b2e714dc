"""Prepares a folder of token shards: units of text to processes, then the index."""

from __future__ import annotations

import multiprocessing
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from framework.checksums import checksums
from framework.data.cache import fingerprint
from framework.data.tokens.shards.index import (
    INDEX,
    TOKENIZER,
    Index,
    Shard,
    read_index,
    require_sizes,
    write_index,
)
from framework.data.tokens.tokenizer import Tokenizer
from framework.data.tokens.vocabularies import Vocabulary, restore
from framework.preparation.inputs import Part, units_of
from framework.preparation.writing import RECORD, ShardWriter

LOCK = ".lock"
OWN = re.compile(r"\d{6}\.bin(\.done)?|\.(\d{6}\.bin(\.done)?|(index|tokenizer)\.json)\.tmp")
"""Files that an earlier call may have left."""
Report = Callable[[int, int, Shard], None]
"""Is told how many shards of how many are written, and the last of them."""


def prepare(
    parts: Sequence[Part],
    tokenizer: Tokenizer,
    folder: Path,
    shard_bytes: int,
    processes: int,
    report: Report,
) -> Index:
    """Writes a text as token shards, in parallel; goes on where an earlier call was killed.

    The shards depend on the text, the tokenizer and `shard_bytes` alone. One is written under
    another name until it is whole, and the index, without which nobody reads the folder, last.

    Args:
        parts: The text.
        tokenizer: Makes the vocabulary.
        folder: Where to write; it is made if it is missing.
        shard_bytes: Length of the text of a shard, about.
        processes: How many write at the same time.
        report: Is told of each shard.

    Raises:
        ValueError: If the text is empty or cannot be read, the tokenizer cannot be written, or the
            folder holds the shards of another text.
        OSError: If the folder cannot be written.
    """
    units = units_of(parts, shard_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            vocabulary = _vocabulary(tokenizer, parts)
            writer = ShardWriter(folder, vocabulary)
            origin = fingerprint(*map(writer.origin, units))
            if (folder / INDEX).exists():
                index = _same(folder, origin)
                _sweep(folder, index.shards)
                return index
            _require_own(folder)
            shards = list(_written(writer, units, processes, report))
            whole = tuple(shard for shard in shards if shard.tokens)
            if not whole:
                raise ValueError("prepare: the inputs hold no text; check the files.")
            index = Index(whole, writer.dtype, vocabulary, origin)
            write_index(index, folder)
            _sweep(folder, whole)
    except Timeout as error:
        raise ValueError(
            f"prepare: another process is writing to {str(folder)!r}; wait for it, or choose "
            "another folder."
        ) from error
    return index


def damaged(folder: Path) -> list[str]:
    """Reads all shards of a folder, and returns the names of those that are not as written.

    Raises:
        ValueError: If the folder is not complete.
    """
    index = read_index(folder, "prepare: output")
    require_sizes(folder, index.shards, np.dtype(index.dtype).itemsize)
    found = checksums(folder / shard.name for shard in index.shards)
    return [shard.name for shard in index.shards if found[shard.name] != shard.sha256]


def _vocabulary(tokenizer: Tokenizer, parts: Sequence[Part]) -> Vocabulary:
    """Makes a vocabulary that the index can hold; one that is fitted reads all of the text."""
    digest = fingerprint(*(part.digest() for part in parts))
    texts = chain.from_iterable
    vocabulary = tokenizer.fit(digest, lambda: texts(part.documents() for part in parts))
    if restore(vocabulary.describe()) is None:
        raise ValueError(
            f"prepare: tokenizer={type(tokenizer).__name__} cannot be written to a file; use "
            "FileTokenizer, BytePairTokenizer or ByteTokenizer."
        )
    return vocabulary


def _same(folder: Path, origin: str) -> Index:
    index = read_index(folder, "prepare: output")
    if index.origin != origin:
        raise ValueError(
            f"prepare: output={str(folder)!r} holds the shards of another text, tokenizer or "
            "--shard_bytes; choose another folder, or remove it."
        )
    return index


def _written(
    writer: ShardWriter, units: Sequence[Sequence[Part]], processes: int, report: Report
) -> Iterator[Shard]:
    """Writes the shards of all units, and yields them in the order of the text."""
    shards: dict[int, Shard] = {}
    made = _alone if processes == 1 else _together
    for number, shard in made(writer, units, processes):
        shards[number] = shard
        report(len(shards), len(units), shard)
    yield from (shards[number] for number in range(len(units)))


def _alone(
    writer: ShardWriter, units: Sequence[Sequence[Part]], processes: int
) -> Iterator[tuple[int, Shard]]:
    for number, unit in enumerate(units):
        yield number, writer.write(number, unit)


def _together(
    writer: ShardWriter, units: Sequence[Sequence[Part]], processes: int
) -> Iterator[tuple[int, Shard]]:
    given = writer.folder, writer.vocabulary.describe()
    context = multiprocessing.get_context()
    with ProcessPoolExecutor(processes, context, _start, given) as pool:
        waiting = {pool.submit(_write, *unit): unit[0] for unit in enumerate(units)}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool as error:
            raise ValueError(
                "prepare: a process was killed, perhaps for want of memory; give the same command "
                "again, with fewer --processes: what is written is kept."
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


_writer: list[ShardWriter] = []  # of a process


def _start(folder: Path, description: dict[str, Any]) -> None:
    """Prepares a process that writes shards; processes, not threads, share the work."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    vocabulary = restore(description)
    assert vocabulary is not None  # it was checked
    _writer[:] = [ShardWriter(folder, vocabulary)]


def _write(number: int, unit: Sequence[Part]) -> Shard:
    return _writer[0].write(number, unit)


def _require_own(folder: Path) -> None:
    """Refuses a folder in which something else is, which might be replaced."""
    known = {LOCK, *([TOKENIZER] if any(folder.glob(f"*{RECORD}")) else [])}
    for path in sorted(folder.iterdir()):
        if path.name not in known and not OWN.fullmatch(path.name):
            raise ValueError(
                f"prepare: output={str(folder)!r} holds {path.name!r}, which is not of shards; "
                "choose a new folder."
            )


def _sweep(folder: Path, shards: Sequence[Shard]) -> None:
    """Removes records, and what earlier calls left that is not in the index."""
    kept = {shard.name for shard in shards}
    for path in folder.iterdir():
        if OWN.fullmatch(path.name) and path.name not in kept:
            path.unlink()
