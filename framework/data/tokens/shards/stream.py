"""ShardedStream: the token ids of many files as one row, of which only what is used is read."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from framework.data.tokens.shards.index import Shard, require_sizes


class ShardedStream:
    """Token ids in several files, one behind the other, as a one-dimensional array.

    A file is memory-mapped when it is first used, and keeps no file open: there may be more of
    them than a process may open. Pickled as paths, so that workers share the pages.

    Args:
        folder: Where the files are.
        shards: The files, in order, none of them empty.
        dtype: Type of the ids.

    Raises:
        ValueError: If a file is missing or has another size.
    """

    def __init__(self, folder: Path, shards: Sequence[Shard], dtype: str) -> None:
        self.path, self.shards, self.dtype = folder, tuple(shards), dtype
        require_sizes(folder, self.shards, np.dtype(dtype).itemsize)
        self.starts = [0, *accumulate(shard.tokens for shard in self.shards)]
        self._maps: list[NDArray[Any] | None] = [None] * len(self.shards)

    def __reduce__(self) -> tuple[type[ShardedStream], tuple[Any, ...]]:
        return ShardedStream, (self.path, self.shards, self.dtype)

    def __len__(self) -> int:
        return self.starts[-1]

    @property
    def ids(self) -> ShardedStream:
        """The ids: itself, which is read by slices."""
        return self

    def __getitem__(self, wanted: slice) -> NDArray[Any]:
        """Reads consecutive ids, which may lie in several files."""
        begin, end, _ = wanted.indices(len(self))
        number, parts = bisect_right(self.starts, begin) - 1, []
        while begin < end:
            first, stop = self.starts[number], min(end, self.starts[number + 1])
            parts.append(self._map(number)[begin - first : stop - first])
            number, begin = number + 1, stop
        return np.concatenate(parts) if parts else np.empty(0, self.dtype)

    def tolist(self) -> list[int]:
        """Reads all ids."""
        return [int(i) for i in self[:]]

    def _map(self, number: int) -> NDArray[Any]:
        found = self._maps[number]
        if found is None:
            shard, kind = self.shards[number], getattr(torch, self.dtype)
            path = str(self.path / shard.name)  # torch maps a file without keeping it open
            found = torch.from_file(path, shared=False, size=shard.tokens, dtype=kind).numpy()
            self._maps[number] = found
        return found
