"""Masks of attention: which keys a query sees, and the indices of positions without padding."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Mask(NamedTuple):
    """Which keys each query sees: by a matrix, by the causal rule, or else all of them.

    The matrix has booleans, True where a query sees a key, or numbers that are added to scores,
    -inf where it does not see it.
    """

    matrix: Tensor | None = None  # [B or 1, H or 1, Q, K]
    causal: bool = False  # query q sees keys 0 ... q; only if there are as many queries as keys
    documents: Tensor | None = None  # [B, S], beside `causal`: only keys of an equal number
    window: int | None = None  # beside `causal`: only the query and the `window` - 1 keys before
    blocks: Any = None  # a BlockMask of both, where the operator of attention has made it

    def as_matrix(self, queries: int, keys: int, device: torch.device) -> Tensor | None:
        """Returns the mask as a matrix `[B or 1, H or 1, Q, K]`; None if all keys are seen."""
        if not self.causal:
            return self.matrix
        seen = torch.ones(queries, keys, dtype=torch.bool, device=device).tril()[None, None]
        if self.window is not None:
            seen = seen & ~seen.tril(-self.window)
        if self.documents is None:
            return seen
        return seen & (self.documents[:, None, :, None] == self.documents[:, None, None])

    def within(self, window: int | None, positions: Tensor, queries: int) -> Mask:
        """Hides keys that are `window` or more positions before a query; None hides none.

        Padding is not counted. The mask stays as it is where sequences are no longer than the
        window.

        Args:
            window: How many positions a query sees, itself included.
            positions: Numbers of the keys, `[B or 1, K]`; those of the queries are the last.
            queries: Number of queries.
        """
        if window is None or positions.shape[1] <= window:
            return self
        if self.causal:
            return self._replace(window=window)
        asked = positions[:, None, positions.shape[1] - queries :, None]
        near = positions[:, None, None] > asked - window  # [B or 1, 1, Q, K]
        if self.matrix is None:
            return Mask(near)
        if self.matrix.dtype == torch.bool:
            return Mask(self.matrix & near)
        return Mask(self.matrix.masked_fill(~near, -torch.inf))


def attention_mask(
    queries: int, keys: int, prefix: int, key_mask: Tensor | None, device: torch.device
) -> Mask:
    """Makes the mask of the last `queries` of `keys` positions: causal, with a common prefix.

    A matrix is built only where it is needed, because kernels are faster without. A position
    always sees itself, so that padding attends to itself instead of to nothing, which would be
    0/0.

    Args:
        queries: Number of queries, the last positions.
        keys: Number of positions in all.
        prefix: Number of positions, the first ones, that every position sees, also those of the
            prefix.
        key_mask: `[B, keys]` bool, False on padding; None if nothing is padded.
        device: Device of the matrix.
    """
    if key_mask is None and (queries == 1 or prefix == keys):
        return Mask()
    if key_mask is None and queries == keys and prefix == 0:
        return Mask(causal=True)
    key = torch.arange(keys, device=device)
    query = key[keys - queries :, None]
    matrix = (key <= query) | (key < prefix)  # [Q, K]
    if key_mask is None:
        return Mask(matrix[None, None])
    return Mask(matrix & key_mask[:, None, None] | (key == query))


def document_indices(documents: Tensor) -> Tensor:
    """Numbers the positions of each document of windows, `[B, S]`, from 0 on.

    Args:
        documents: Number of the document of each position, `[B, S]`, which never falls.
    """
    place = torch.arange(documents.shape[1], device=documents.device).expand_as(documents)
    opens = documents.diff(dim=1, prepend=documents[:, :1] - 1) != 0
    return place - torch.where(opens, place, 0).cummax(1).values


def position_indices(
    queries: int, keys: int, key_mask: Tensor | None, device: torch.device
) -> Tensor:
    """Numbers the last `queries` of `keys` positions without padding: `[B or 1, queries]`."""
    if key_mask is None:
        return torch.arange(keys - queries, keys, device=device)[None]
    return (key_mask.cumsum(1) - 1).clamp(min=0)[:, keys - queries :]
