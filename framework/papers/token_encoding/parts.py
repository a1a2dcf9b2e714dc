"""Rows of a large matrix in float64, a part at a time, so that all of it never is."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from framework.analysis.processes import exact

CHUNK = 1 << 22  # numbers of a part, 32 MB, unless a square is larger


def parts(rows: Tensor) -> Iterator[Tensor]:
    """Yields rows `[N, D]`, one part after the other, in float64."""
    for part in torch.split(rows, length(rows)):
        yield exact(part)


def length(rows: Tensor) -> int:
    """Returns how many rows `[N, D]` are a part: as many as columns, at least."""
    return max(rows.shape[1], CHUNK // rows.shape[1])


def mean(rows: Tensor) -> Tensor:
    """Returns the mean row, `[D]` float64; of a constant column it is the constant, exactly."""
    first = exact(rows[0])
    return first + torch.stack([(part - first).sum(0) for part in parts(rows)]).sum(0) / len(rows)
