"""Tables with a row per distribution, read at positions that may have leading sample axes."""

from __future__ import annotations

import torch
from torch import Tensor


def joint_shape(*tensors: Tensor | torch.Size) -> torch.Size:
    """Returns the shape that tensors, or shapes, broadcast to."""
    shapes = (t.shape if isinstance(t, Tensor) else t for t in tensors)
    return torch.Size(torch.broadcast_shapes(*shapes))  # type: ignore[no-untyped-call] # torch's


def pick(table: Tensor, index: Tensor) -> Tensor:
    """Takes one entry of each row, without copying rows.

    Args:
        table: Rows `[*batch, K]`.
        index: Positions, int64, of a shape that broadcasts with `batch`.

    Returns:
        The entries, of the shape that both broadcast to.
    """
    shape = joint_shape(index, table.shape[:-1])
    return table.expand(*shape, -1).gather(-1, index.expand(shape).unsqueeze(-1)).squeeze(-1)


def cell(edges: Tensor, value: Tensor) -> Tensor:
    """Finds the cell of each value, from its left edge on and up to its right one.

    Args:
        edges: Borders of the cells, increasing, `[K + 1]`.
        value: What to look for, `[...]`.

    Returns:
        Positions 0 .. K - 1, int64 `[...]`; an end cell for values beyond the edges.
    """
    dtype = torch.promote_types(value.dtype, edges.dtype)
    return torch.bucketize(value.to(dtype).contiguous(), edges[1:-1].to(dtype), right=True)


def locate(table: Tensor, value: Tensor) -> Tensor:
    """Counts the entries of each row that are smaller than a value: a bisection per value.

    Args:
        table: Rows `[*batch, K]`, not decreasing.
        value: What to look for, of a shape that broadcasts with `batch` to `[*samples, *batch]`.

    Returns:
        Positions 0 .. K, int64 `[*samples, *batch]`.
    """
    shape = joint_shape(value, table.shape[:-1])
    # searchsorted wants the rows of both sides aligned and the queries of a row last
    rows = table.detach().reshape(-1, table.shape[-1]).contiguous()
    queries = value.detach().to(rows.dtype).expand(shape).reshape(-1, rows.shape[0]).T
    return torch.searchsorted(rows, queries.contiguous()).T.reshape(shape)
