"""MappedArray: a memory-mapped array on disk, which worker processes share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def npy(path: Path) -> NDArray[Any]:
    """Maps a `.npy` file."""
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array


class MappedArray:
    """A file that is memory-mapped as an array when first read.

    It is pickled as a path: however workers are started, all processes of a machine share the
    pages that they read, and none copies the file.

    Args:
        path: The file.
        map: Maps a file as an array; a function that can be pickled.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "squares.npy"
        >>> np.save(path, np.arange(10) ** 2)
        >>> MappedArray(path)[2:5]
        array([ 4,  9, 16])
    """

    def __init__(self, path: Path, map: Callable[[Path], NDArray[Any]] = npy) -> None:
        self.path, self.map = path, map
        self._array: NDArray[Any] | None = None

    @property
    def array(self) -> NDArray[Any]:
        """The mapped array: only what is indexed is read."""
        if self._array is None:
            self._array = self.map(self.path)
        return self._array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Reads a part."""
        return np.asarray(self.array[index])

    def __reduce__(self) -> tuple[Any, ...]:
        return MappedArray, (self.path, self.map)
