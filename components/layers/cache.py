"""Cache: the keys and values of what a backbone has read, passed along while a sequence grows."""

from __future__ import annotations

import torch
from torch import Tensor


class LayerCache:
    """Keys and values of one block: those of the sequence, and those of the context.

    Args:
        capacity: Maximum number of positions.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self.keys: Tensor | None = None  # [B, G, capacity, E]
        self.values: Tensor | None = None
        self.memory: tuple[Tensor, Tensor] | None = None  # of a context, [B, G, C, E] each

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends keys and values `[B, G, S, E]` and returns all of them, `[B, G, length, E]`."""
        if self.keys is None or self.values is None:
            batch, groups, _, width = keys.shape
            self.keys = keys.new_empty(batch, groups, self.capacity, width)
            self.values = values.new_empty(batch, groups, self.capacity, width)
        start, self.length = self.length, self.length + keys.shape[2]
        self.keys[:, :, start : self.length] = keys
        self.values[:, :, start : self.length] = values
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]

    def repeat(self, samples: int) -> LayerCache:
        """Copies the keys and values, each example `samples` times in a row."""
        copy = LayerCache(self.capacity)
        copy.length = self.length
        copy.keys, copy.values = _repeat(self.keys, samples), _repeat(self.values, samples)
        if self.memory is not None:
            keys, values = self.memory
            copy.memory = keys.repeat_interleave(samples, 0), values.repeat_interleave(samples, 0)
        return copy


class Cache:
    """The state of a backbone while a sequence grows.

    It is written in place: use it without gradients.

    Args:
        depth: Number of blocks that keep keys and values.
        batch_size: Number of examples.
        length: Maximum number of positions, those of the context included.
    """

    def __init__(self, depth: int, batch_size: int, length: int) -> None:
        self.batch_size = batch_size
        self.capacity = length
        self.length = 0
        self.layers = [LayerCache(length) for _ in range(depth)]
        self.mask: Tensor | None = None  # [B, length] bool, False on padding; None: no padding
        self.context_mask: Tensor | None = None  # [B, C] bool, of a context that is kept as memory

    def grow(self, states: Tensor, mask: Tensor | None) -> Tensor | None:
        """Counts states `[B, S, D]` with mask `[B, S]`; returns the mask so far, `[B, length]`.

        Raises:
            ValueError: If there is no room, or the states are of another number of examples.
        """
        batch, size, _ = states.shape
        if batch != self.batch_size or self.length + size > self.capacity:
            raise ValueError(
                f"Cache was made for batch_size={self.batch_size}, length={self.capacity} and "
                f"holds {self.length} positions: {size} more of {batch} examples do not fit; "
                "call new_cache with what is needed."
            )
        if mask is not None or self.mask is not None:
            before = self._filled(self.mask, self.length, states.device)
            self.mask = torch.cat((before, self._filled(mask, size, states.device)), 1)
        self.length += size
        return self.mask

    def repeat(self, samples: int) -> Cache:
        """Copies the cache, each example `samples` times in a row, to sample continuations."""
        cache = Cache(0, self.batch_size * samples, self.capacity)
        cache.length = self.length
        cache.layers = [layer.repeat(samples) for layer in self.layers]
        cache.mask = _repeat(self.mask, samples)
        cache.context_mask = _repeat(self.context_mask, samples)
        return cache

    def _filled(self, mask: Tensor | None, size: int, device: torch.device) -> Tensor:
        if mask is not None:
            return mask
        return torch.ones(self.batch_size, size, dtype=torch.bool, device=device)


def _repeat(tensor: Tensor | None, samples: int) -> Tensor | None:
    return None if tensor is None else tensor.repeat_interleave(samples, 0)
