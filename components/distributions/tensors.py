"""Tensor operations that distributions share: precision, constants, and lookups in tables.

A table has one row per distribution. It is read at indices or values that may have further axes in
front, those of samples.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor


def to_float32(values: Tensor) -> Tensor:
    """Casts half and bfloat16 to float32; float32 and float64 stay as they are.

    Rare outcomes and normalizers over thousands of cells do not survive eight bits of mantissa.

    Args:
        values: Parameters of a distribution, of any floating dtype.

    Returns:
        The same values in float32 or float64.
    """
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def tiny(values: Tensor) -> float:
    """Returns the smallest normal number of a dtype: the least that a logarithm may see."""
    return torch.finfo(values.dtype).tiny


def without_autocast(values: Tensor) -> AbstractContextManager[object]:
    """Makes a context in which autocast does not round matrix products of such values."""
    device = values.device.type
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # made in a validation step, it must serve training as well
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Returns fixed numbers, levels or edges, as a tensor that is made once.

    It is shared: do not write to it.

    Args:
        values: Plain numbers.
        dtype: Data type of the tensor.
        device: Device of the tensor; later calls copy nothing there.
    """
    return torch.tensor(values, dtype=dtype, device=device)


def joint_shape(*tensors: Tensor | torch.Size) -> torch.Size:
    """Returns the shape that tensors, or shapes, broadcast to."""
    shapes = (t.shape if isinstance(t, Tensor) else t for t in tensors)
    return torch.Size(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call] # torch's


def gather(table: Tensor, index: Tensor) -> Tensor:
    """Takes one entry of each row, without copying rows.

    Args:
        table: Rows `[*batch, K]`.
        index: Indices, int64, of a shape that broadcasts with `batch`.

    Returns:
        The entries, of the shape that both broadcast to.
    """
    shape = joint_shape(index, table.shape[:-1])
    return table.expand(*shape, -1).gather(-1, index.expand(shape).unsqueeze(-1)).squeeze(-1)


def searchsorted(table: Tensor, value: Tensor) -> Tensor:
    """Counts the entries of each row that are smaller than a value, by bisection.

    Args:
        table: Rows `[*batch, K]`, not decreasing.
        value: Values to look up, of a shape that broadcasts with `batch` to `[*samples, *batch]`.

    Returns:
        Counts 0 .. K, int64 `[*samples, *batch]`.
    """
    shape = joint_shape(value, table.shape[:-1])
    # torch's wants the rows of both sides aligned and the queries of a row last
    rows = table.detach().reshape(-1, table.shape[-1]).contiguous()
    queries = value.detach().to(rows.dtype).expand(shape).reshape(-1, rows.shape[0]).T
    return torch.searchsorted(rows, queries.contiguous()).T.reshape(shape)


def bucketize(value: Tensor, edges: Tensor) -> Tensor:
    """Finds the cell of each value, from its left edge on and up to its right one.

    Args:
        value: Values, `[...]`.
        edges: Borders of the cells, increasing, `[K + 1]`.

    Returns:
        Cells 0 .. K - 1, int64 `[...]`; an end cell for values beyond the edges.
    """
    dtype = torch.promote_types(value.dtype, edges.dtype)
    return torch.bucketize(value.to(dtype).contiguous(), edges[1:-1].to(dtype), right=True)
