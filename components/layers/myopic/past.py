"""A past that another model computed: keys and values that no call changes."""

from __future__ import annotations

from torch import Tensor

from components.layers.cache import Cache, LayerCache


class FrozenLayerCache(LayerCache):
    """Keys and values of one block of another model, in place of those that are computed.

    Args:
        keys: `[B, G, S, E]`, of all positions.
        values: `[B, G, S, E]`, of all positions.
    """

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__(keys.shape[2])
        self.held = keys, values

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the keys and values that it holds, in place of those given, `[B, G, S, E]`.

        Raises:
            ValueError: If these have another shape.
        """
        held, _ = self.held
        if keys.shape != held.shape:
            raise ValueError(
                f"The other model computed keys of shape {list(held.shape)}, this one has "
                f"{list(keys.shape)}; use a model with the same heads that reads as many "
                "positions."
            )
        return self.held


def frozen(cache: Cache) -> Cache:
    """Makes a cache with which another backbone reads the same positions, all at once.

    It counts as empty, so that indices and masks are those of a pass without a cache; whatever
    that backbone computes, keys and values stay these.

    Args:
        cache: Filled by a backbone of the same shape with all positions.
    """
    made = Cache(0, cache.batch_size, cache.length)
    for layer in cache.layers:
        assert layer.keys is not None
        assert layer.values is not None
        parts = layer.keys[:, :, : layer.length], layer.values[:, :, : layer.length]
        made.layers.append(FrozenLayerCache(*parts))
    return made
