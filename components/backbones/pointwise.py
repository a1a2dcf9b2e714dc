"""What backbones have in common that map each position on its own."""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor

from components.interfaces import Backbone, Cache, Embedded


class PointwiseBackbone(Backbone):
    """Maps each position on its own: it needs no memory, and can see no context."""

    @abstractmethod
    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""

    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes a cache that keeps nothing: positions do not see each other."""
        return Cache(0, batch_size, length)

    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]`, each of its own state only.

        Raises:
            ValueError: If there is a context, which it cannot see.
        """
        if inputs.context is not None:
            raise ValueError(
                f"{type(self).__name__} maps each position on its own and cannot see the context "
                f"of {inputs.context.shape[1]} positions; choose Decoder or EncoderDecoder."
            )
        if cache is not None:
            cache.grow(inputs.states, inputs.mask)
        return self.transform(inputs.states)
