"""Mapped: an array on disk that is read in place, also by worker processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Mapped:
    """A `.npy` file that is memory-mapped when first read.

    It is pickled as a path: however workers are started, all processes of a machine share the
    pages that they read, and none has a copy of the file.

    Args:
        path: The file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "squares.npy"
        >>> np.save(path, np.arange(10) ** 2)
        >>> Mapped(path)[2:5]
        array([ 4,  9, 16])
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._array: NDArray[Any] | None = None

    @property
    def array(self) -> NDArray[Any]:
        """The array, unread: what is indexed is what is read."""
        if self._array is None:
            self._array = np.load(self.path, mmap_mode="r")
        return self._array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Reads a part."""
        return np.asarray(self.array[index])

    def __reduce__(self) -> tuple[Any, ...]:
        return Mapped, (self.path,)
