"""What runs were trained on: noted when they have ended, and held equal in a comparison."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any

from framework.checkpoints import read
from framework.data import position, sketch
from framework.data.cache import fingerprint

Note = Mapping[str, Any]
"""What is kept of a finished run: its variant, seed and learning rate, and `TRAINED_ON`."""

TRAINED_ON, DIGESTS = "trained_on", "digests"  # what its checkpoint and its files say
NAMES = {  # of what the record of a checkpoint says, if it is an option
    "batch_size": "data.batch_size",
    "accumulated": "trainer.accumulate_grad_batches",
    "seed": "data.seed",
}
EXAMPLES = "examples"


@dataclass(frozen=True)
class SameData:
    """Requires that finished runs of all variants were trained on the same data.

    Equal options are not enough: a file may have been written anew, a download may have changed,
    or a run stopped early. What a run has not noted is not compared.

    Args:
        files: Files, folders and glob patterns behind the data, whose content may not change
            between any two runs.
        examples: Whether runs of one seed must have seen the same number of examples, too.
    """

    files: Sequence[str]
    examples: bool = True

    def require(self, notes: Iterable[Note]) -> None:
        """Checks that runs were trained on the same data.

        Args:
            notes: What is kept of the finished runs.

        Raises:
            ValueError: If files differ between two of them, or batches or examples between two
                of the same seed.
        """
        notes = list(notes)
        for number, note in enumerate(notes):
            for other in notes[:number]:
                for what in self._differences(other, note):
                    raise ValueError(
                        f"{_name(other)} and {_name(note)} were not trained on the same data: "
                        f"{what}; give the command again with a new --folder."
                    )

    def _differences(self, one: Note, other: Note) -> Iterator[str]:
        pairs = _common(one.get(DIGESTS), other.get(DIGESTS))
        yield from (f"{name} was changed between them" for name, a, b in pairs if a != b)
        if one["seed"] != other["seed"]:
            return
        records = one.get(TRAINED_ON) or {}, other.get(TRAINED_ON) or {}
        for name, a, b in _common(*records):
            if name == "data":
                for field, x, y in sketch.compare(a, b):
                    yield f"{field} of the training data ({x}, {y})"
            elif name in NAMES and a != b:
                yield f"{NAMES[name]} ({a}, {b})"
            elif name == EXAMPLES and self.examples and a != b:
                yield f"the number of examples that were seen ({a}, {b})"


def digests(patterns: Iterable[str]) -> dict[str, str]:
    """Digests the content of files, by the file, folder or glob pattern that names them.

    Args:
        patterns: The names; what does not exist has no content.
    """
    return {pattern: fingerprint(*_contents(pattern)) for pattern in patterns}


def trained_on(checkpoint: Path) -> dict[str, Any] | None:
    """Returns what a checkpoint records of the data that it was trained on, None if nothing.

    Args:
        checkpoint: The last one of a run.

    Raises:
        ValueError: If it cannot be read.
    """
    record: dict[str, Any] | None = read(checkpoint).get(position.NOTE)
    return record


def named_files(options: Any) -> Iterator[str]:
    """Yields the values among options of data that name files, folders or glob patterns."""
    if isinstance(options, Mapping):
        options = options.values()
    if isinstance(options, str):
        if next(_found(options), None) is not None:
            yield options
    elif isinstance(options, Iterable):
        for value in options:
            yield from named_files(value)


def _contents(pattern: str) -> Iterator[str]:
    for path in _found(pattern):
        status = path.stat()
        yield path.as_posix()
        yield _digest(path, status.st_size, status.st_mtime_ns)


@cache
def _digest(path: Path, size: int, time: int) -> str:
    """Digests a file; one of the same size and time is not read again by this process."""
    return fingerprint(path)


def _found(pattern: str) -> Iterator[Path]:
    """Yields the files that a value names, in the order of their names."""
    if os.path.isfile(pattern):  # which, unlike that of a `Path`, takes any text
        yield Path(pattern)
        return
    inside = os.path.join(pattern, "**") if os.path.isdir(pattern) else pattern
    paths = sorted(glob(inside, recursive=True))
    yield from (Path(path) for path in paths if os.path.isfile(path))


def _common(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> Iterator[Any]:
    """Yields what two notes both say: its name, and both values."""
    for name, value in (one or {}).items():
        if other and name in other:
            yield name, value, other[name]


def _name(note: Note) -> str:
    rate = "" if note.get("learning_rate") is None else f", learning rate {note['learning_rate']}"
    return f"{note['variant']} (seed {note['seed']}{rate})"
