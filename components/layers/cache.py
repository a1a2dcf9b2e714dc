"""Cache: the keys and values of what a backbone has read, passed along while a sequence grows."""

from __future__ import annotations

import torch
from torch import Tensor


class LayerCache:
    """Keys and values of one block: those of the sequence, and those of the context.

    Where several examples continue one, as samples do, its positions are `shared`: held once, as
    is the memory of a context.

    Args:
        capacity: Maximum number of positions.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self.shared: tuple[Tensor, Tensor] | None = None  # of the first P, [B / samples, G, P, E]
        self.keys: Tensor | None = None  # of the others, [B, G, capacity - P, E]
        self.values: Tensor | None = None
        self.memory: tuple[Tensor, Tensor] | None = None  # of a context, [B / samples, G, C, E]

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends keys and values `[B, G, S, E]` and returns all of them, `[B, G, length, E]`."""
        own = self.append(keys, values)
        return own if self.shared is None else joined(self.shared, *own)

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends keys and values `[B, G, S, E]` and returns those that are not shared."""
        begin, self.length = self._own, self.length + keys.shape[2]
        if self.keys is None or self.values is None:
            batch, groups, _, width = keys.shape
            room = self.capacity - self.length + keys.shape[2]
            self.keys = keys.new_empty(batch, groups, room, width)
            self.values = values.new_empty(batch, groups, room, width)
            if self.shared is not None:  # one query of each example reads them, column by column
                self.values = values.new_empty(batch, groups, width, room).mT
        self.keys[:, :, begin : self._own] = keys
        self.values[:, :, begin : self._own] = values
        return self.keys[:, :, : self._own], self.values[:, :, : self._own]

    def drop(self, count: int) -> None:
        """Forgets the last positions of the sequence, none of which is shared."""
        self.length -= count

    def repeat(self) -> LayerCache:
        """Makes a cache for several examples in a row that continue each example of this one."""
        copy = LayerCache(self.capacity)
        copy.length, copy.shared, copy.memory = self.length, self.shared, self.memory
        if self.keys is not None and self.values is not None:
            own = self.keys[:, :, : self._own], self.values[:, :, : self._own]
            copy.shared = own if self.shared is None else joined(self.shared, *own)
        return copy

    @property
    def _own(self) -> int:
        """Number of positions that are not shared."""
        return self.length - (0 if self.shared is None else self.shared[0].shape[2])


def joined(shared: tuple[Tensor, Tensor], keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Copies shared keys and values `[B / samples, G, P, E]` in front of others `[B, G, S, E]`."""
    samples = len(keys) // len(shared[0])
    first = [part.repeat_interleave(samples, 0) for part in shared]
    return torch.cat((first[0], keys), 2), torch.cat((first[1], values), 2)


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

    def drop(self, count: int) -> None:
        """Forgets the last positions, so that others can take their place."""
        self.length -= count
        if self.mask is not None:
            self.mask = self.mask[:, : self.length]
        for layer in self.layers:
            layer.drop(count)

    def repeat(self, samples: int) -> Cache:
        """Makes a cache of each example `samples` times in a row, to sample continuations."""
        cache = Cache(0, self.batch_size * samples, self.capacity)
        cache.length = self.length
        cache.layers = [layer.repeat() for layer in self.layers]
        cache.mask = _repeat(self.mask, samples)
        cache.context_mask = _repeat(self.context_mask, samples)
        return cache

    def _filled(self, mask: Tensor | None, size: int, device: torch.device) -> Tensor:
        if mask is not None:
            return mask
        return torch.ones(self.batch_size, size, dtype=torch.bool, device=device)


def _repeat(tensor: Tensor | None, samples: int) -> Tensor | None:
    return None if tensor is None else tensor.repeat_interleave(samples, 0)
