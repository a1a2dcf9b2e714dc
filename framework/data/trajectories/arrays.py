"""Arrays: episodes in NumPy archives, also under the names that offline-RL benchmarks use."""

from __future__ import annotations

import logging
import zipfile
import zlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import fingerprint
from framework.data.files import matching_files
from framework.data.trajectories.episodes import ARRAYS, Episodes, EpisodeSource, Origin

SHOWN = 12  # arrays that an error lists
NAMES = {name: (name, f"{name}s") for name in ARRAYS}
LENGTH = "length"
ENDS = ("terminals", "timeouts", "terminations", "truncations")  # true at the end of an episode

UNREADABLE = (
    *(ValueError, TypeError, KeyError, EOFError, OSError, RuntimeError),
    *(zlib.error, zipfile.BadZipFile),
)
"""What NumPy and h5py raise for an array that is damaged."""

logger = logging.getLogger(__name__)


class ArrayEpisodes(EpisodeSource):
    """Episodes in files of named arrays.

    Args:
        path: A file, a glob pattern of files, or a directory of them; they are read in the order
            of their names.
        environment: Gymnasium id of the environment, "" where there is none to play in.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def __init__(self, path: str, environment: str = "") -> None:
        self.path, self.environment = path, environment

    def key(self) -> dict[str, object]:
        """Digests the files."""
        return {"arrays": fingerprint(*self._files()), "suffixes": list(self.suffixes)}

    def read(self) -> Episodes:
        """Reads the files."""
        files = self._files()
        parts = []
        for file in files:
            with self._open(file) as stored:
                parts.append(read_arrays(stored, file))
        return Episodes.join(parts, [repr(str(file)) for file in files])

    @abstractmethod
    def _open(self, path: Path) -> Any:
        """Opens a file, as a context manager, as a mapping of names to arrays."""

    def _files(self) -> list[Path]:
        option = f"{type(self).__name__}: path"
        if not Path(self.path).is_dir():
            return matching_files(self.path, option)
        found = [file for file in Path(self.path).iterdir() if file.suffix in self.suffixes]
        return sorted(found) or matching_files(f"{escape(self.path)}/*{self.suffixes[0]}", option)


class NpzEpisodes(ArrayEpisodes):
    """Episodes in NumPy archives.

    An archive holds the arrays `observation` `[N, ...]`, `action` `[N]` or `[N, ...]` and `reward`
    `[N]`; they may be called `observations`, `actions` and `rewards`. Where episodes end is said
    by an array `length` with the steps of each, or by `terminals` and `timeouts` (or
    `terminations` and `truncations`) `[N]`, which are true at their last steps; without any of
    them, the archive is one episode.

    Args:
        path: An `.npz` file, a glob pattern of such files, or a directory of them; they are read
            in the order of their names.
        environment: Gymnasium id of the environment, or `module:id` of your own, "" where there is
            none to play in.

    Raises:
        ValueError: If there is no file, an array is missing or holds no numbers, or no episode
            ends.
    """

    suffixes = (".npz",)

    @contextmanager
    def _open(self, path: Path) -> Iterator[Mapping[str, Any]]:
        with path.open("rb") as file:
            archive = _archive(file, path)
            if isinstance(archive, np.ndarray):
                raise ValueError(
                    f"{str(path)!r} is one array of shape {archive.shape}; write observation, "
                    "action and reward to one file with np.savez."
                )
            with archive:
                yield archive


def read_arrays(stored: Mapping[str, Any], path: Path) -> Episodes:
    """Reads the episodes of one file.

    Args:
        stored: Its arrays by name.
        path: The file, for errors.

    Raises:
        ValueError: If an array is missing or holds no numbers, or no episode ends.
    """
    names = {}
    for name, known in NAMES.items():
        found = next((each for each in known if each in stored), None)
        if found is None:
            listed = ", ".join(list(stored)[:SHOWN]) or "none"
            raise ValueError(f"{str(path)!r} has no array {name!r}; it has {listed}.")
        names[name] = found
    seen, action, reward = (_array(stored, names[name], path) for name in ARRAYS)
    length = _lengths(stored, path, len(reward))
    if LENGTH not in stored and len(seen) == len(action) == len(reward):
        kept = int(length.sum())  # without a last episode that has no end
        seen, action, reward = seen[:kept], action[:kept], reward[:kept]
    origin = Origin(repr(str(path)), "{name}[{index}]", names)
    return Episodes(seen, action, reward, length).checked(origin)


def _archive(file: IO[bytes], path: Path) -> Any:
    try:
        return np.load(file)
    except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
        problem = (
            "holds pickled objects, which could run any code"
            if "pickle" in str(error)
            else "is damaged or no NumPy archive"
        )
        raise ValueError(
            f"{str(path)!r} {problem}; write arrays of numbers with np.savez."
        ) from error


def _array(stored: Mapping[str, Any], name: str, path: Path) -> NDArray[Any]:
    try:
        array = np.asarray(stored[name])
    except UNREADABLE as error:
        problem = (
            "holds Python objects (mixed types, or lists of unequal length), which could run any "
            "code; write numbers of one type"
            if "pickle" in str(error)
            else "is damaged; write the file again"
        )
        raise ValueError(f"{str(path)!r}: array {name!r} {problem}.") from error
    if not array.ndim:
        raise ValueError(f"{str(path)!r}: array {name!r} is a single value; give one a step.")
    return array


def _lengths(stored: Mapping[str, Any], path: Path, steps: int) -> NDArray[np.int64]:
    """Reads how many steps each episode has, `[episodes]`."""
    if LENGTH in stored:
        length = _array(stored, LENGTH, path).ravel()
        whole = length.dtype.kind in "iuf" and bool((length == np.rint(length)).all())
        if not whole or (length < 1).any():
            raise ValueError(
                f"{str(path)!r}: {LENGTH} holds {length.tolist()[:SHOWN]}, which must be positive "
                "whole numbers, the steps of each episode; leave out episodes without steps."
            )
        return length.astype(np.int64)
    flags = [_flags(stored, name, path, steps) for name in ENDS if name in stored]
    if not flags:
        return np.array([steps])
    return _ended(np.logical_or.reduce(flags), path)


def _flags(stored: Mapping[str, Any], name: str, path: Path, steps: int) -> NDArray[np.bool_]:
    """Reads which steps are the last of their episode, `[N]`."""
    flags = _array(stored, name, path)
    flags = flags.reshape(len(flags), -1)
    if flags.shape != (steps, 1):
        raise ValueError(
            f"{str(path)!r}: {name} has {len(flags)} rows, rewards {steps}; give one a step."
        )
    wrong = (flags != 0) & (flags != 1)
    if wrong.any():
        row = int(wrong[:, 0].argmax())
        raise ValueError(
            f"{str(path)!r}: {name}[{row}] is {flags[row, 0]}, which is neither true nor false; "
            "write 0 or 1."
        )
    return flags[:, 0].astype(bool)


def _ended(last: NDArray[np.bool_], path: Path) -> NDArray[np.int64]:
    """Returns the steps of the episodes that have an end, and says what is left out."""
    ends = np.flatnonzero(last) + 1
    if not len(ends):
        raise ValueError(
            f"{str(path)!r}: no episode ends in rows 0 to {len(last) - 1}, where all flags are "
            "false; add `timeouts` that are true at the last step of each, or their `length`."
        )
    if left := len(last) - int(ends[-1]):
        logger.warning(
            "%r: rows %d to %d are an episode without end (no terminal or timeout is true), which "
            "is left out.", str(path), ends[-1], ends[-1] + left - 1,
        )  # fmt: skip
    return np.diff(ends, prepend=0)
