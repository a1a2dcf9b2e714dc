"""Positions of a sequence spread over processes: each computes its own, and attends to all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from components.layers.attention import AttentionOperator
from components.layers.cache import Cache, LayerCache
from components.layers.key_value import KeyValue
from components.layers.masks import Mask


class Exchange(Protocol):
    """Exchanges tensors between the processes that share a sequence."""

    rank: int
    processes: int

    def gather(self, own: Tensor) -> Tensor:
        """Gathers tensors of one shape, `[processes, *shape]`; gradients are summed back."""


class Spread:
    """Divides positions among processes so that causal attention is the same work for each.

    Positions are cut into twice as many pieces of equal length as there are processes. The first
    process has the first and the last piece, the next one the second and the last but one.

    Args:
        exchange: Exchanges tensors with the other processes.

    Source: Llama Team, "The Llama 3 Herd of Models" (arXiv:2407.21783), section 3.3.2: pieces in
        this order, and keys and values that are gathered before attention.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.pieces = 2 * exchange.processes
        self.mine = (exchange.rank, self.pieces - 1 - exchange.rank)

    def attention(self, inner: AttentionOperator) -> AttentionOperator:
        """Makes an operator for queries of this process, and keys and values of all."""
        return _SpreadAttention(inner, self)

    def own(self, whole: Tensor, dim: int) -> Tensor:
        """Takes the positions of this process from those of all, along an axis."""
        pieces = whole.chunk(self.pieces, dim)
        return torch.cat([pieces[piece] for piece in self.mine], dim)

    def whole(self, own: Tensor, dim: int) -> Tensor:
        """Gathers the positions of all processes, in their order, along an axis from the end."""
        pairs = [part.chunk(2, dim) for part in self.exchange.gather(own).unbind()]
        first, last = zip(*pairs, strict=True)
        return torch.cat((*first, *reversed(last)), dim)

    def mask(self, mask: Mask, size: int, device: torch.device) -> OwnMask:
        """Restricts a mask of all S positions to queries of this process.

        Matrices have S · S booleans divided by the number of processes; half as many where a mask
        is only causal.

        Args:
            mask: The mask.
            size: Number of positions S, where the mask is causal.
            device: Device of the matrix.
        """
        if not mask.causal:
            return OwnMask(None if mask.matrix is None else self.own(mask.matrix, 2))
        if mask.documents is None and mask.window is None:
            length = size // self.pieces
            matrices = []
            for piece in self.mine:
                ones = torch.ones(length, (piece + 1) * length, dtype=torch.bool, device=device)
                matrices.append(ones.tril(piece * length)[None, None])
            return OwnMask(pieces=matrices)
        key = torch.arange(size, device=device)
        query = self.own(key, 0).unsqueeze(-1)
        seen = (key <= query)[None, None]
        if mask.window is not None:
            seen = seen & (key > query - mask.window)
        if mask.documents is not None:
            asked = self.own(mask.documents, 1)[:, None, :, None]
            seen = seen & (asked == mask.documents[:, None, None])
        return OwnMask(seen)


class OwnMask(NamedTuple):
    """Which of all keys the queries of this process see; all of them if nothing is given."""

    matrix: Tensor | None = None  # [B or 1, H or 1, Q, K]
    pieces: list[Tensor] | None = None  # of the queries of each piece, and of keys up to its end


class _SpreadAttention(AttentionOperator):
    """Attends with queries of this process to keys and values of all."""

    def __init__(self, inner: AttentionOperator, spread: Spread) -> None:
        super().__init__()
        self.inner, self.spread = inner, spread

    def extend(self, past: KeyValue, cache: LayerCache | None) -> KeyValue:
        """Appends keys and values of new positions to those of earlier ones, where all are."""
        return self.inner.extend(past, cache)

    def prepare(self, mask: Mask, size: int, device: torch.device) -> Mask:
        """Leaves a mask as it is until it is known whether positions are divided."""
        return mask

    def forward(
        self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask | OwnMask
    ) -> Tensor:
        """Attends with queries `[B, H, Q, E]`: those of this process, piece by piece, or all."""
        if not isinstance(mask, OwnMask):
            return self.attend(queries, past, mask)
        keys, values = self.spread.whole(torch.stack(past), -2)
        if mask.pieces is None:
            return self.attend(queries, KeyValue(keys, values), Mask(mask.matrix))
        parts = []
        for asked, seen in zip(queries.chunk(2, 2), mask.pieces, strict=True):
            end = seen.shape[-1]
            before = KeyValue(keys[:, :, :end], values[:, :, :end])
            parts.append(self.attend(asked, before, Mask(seen)))
        return torch.cat(parts, 2)

    def attend(self, queries: Tensor, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with the operator itself, which has one stream of keys and values."""
        output: Tensor = self.inner(queries, past, past, mask)
        return output


class SpreadBlocks:
    """Passes positions of this process through blocks, and gathers what comes out.

    What a cache holds, and an evaluation of positions that are not divisible, each process
    computes whole.

    Args:
        through: Passes states through all blocks, see `Decoder.through`.
        inner: The operator of attention of the blocks, as it was.
        spread: How positions are divided.
    """

    def __init__(
        self, through: Callable[..., Tensor], inner: AttentionOperator, spread: Spread
    ) -> None:
        self.through, self.inner, self.spread = through, inner, spread

    def __call__(
        self, hidden: Tensor, index: Tensor, masks: Mapping[Any, Mask], cache: Cache | None = None
    ) -> Tensor:
        """Computes what the blocks make of states `[B, S, D]`, in each process alike.

        Raises:
            ValueError: If the states are to be trained on, and are not divisible.
        """
        size, device, pieces = hidden.shape[1], hidden.device, self.spread.pieces
        if cache is None and size % pieces == 0:
            own = {window: self.spread.mask(mask, size, device) for window, mask in masks.items()}
            found = self.through(self.spread.own(hidden, 1), self.spread.own(index, 1), own)
            return self.spread.whole(found, 1)
        if cache is None and torch.is_grad_enabled():
            raise ValueError(
                f"context_parallel_size={pieces // 2} cannot divide {size} positions evenly; "
                f"choose a window that is a multiple of {pieces} positions."
            )
        whole = {window: self.inner.prepare(mask, size, device) for window, mask in masks.items()}
        return self.through(hidden, index, whole, cache)
