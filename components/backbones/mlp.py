"""MLP: a residual network that works on each position alone."""

from __future__ import annotations

from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded
from components.layers.block import PointwiseBlock
from components.layers.feedforward import FeedForward, FeedForwardFactory
from components.layers.linear import residual_std
from components.layers.norms import NormFactory, RMSNorm
from components.layers.sizes import require_positive


class MLP(Backbone):
    """Maps each position on its own: for feature vectors, and as the bigram model of a sequence.

    Args:
        dim: Width of the hidden states.
        depth: Number of blocks; each adds a feed-forward network to its input.
        feedforward: The network of a block; its `hidden` is the width in between.
        norm: What brings hidden states to unit size, before each network and at the end.
        dropout: Probability to drop a component of what a block adds, while training.

    Source: He et al., "Identity Mappings in Deep Residual Networks" (arXiv:1603.05027), with dense
    layers.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        feedforward: FeedForwardFactory = FeedForward,
        norm: NormFactory = RMSNorm,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_positive("MLP", dim=dim, depth=depth)
        self.dim = dim
        std = residual_std(depth)
        self.blocks = nn.ModuleList(
            PointwiseBlock(dim, feedforward(dim=dim, out_std=std), norm, dropout)
            for _ in range(depth)
        )
        self.norm = norm(dim=dim)

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
                f"MLP maps each position on its own and cannot see the context of "
                f"{inputs.context.shape[1]} positions; choose Decoder or EncoderDecoder."
            )
        if cache is not None:
            cache.grow(inputs.states, inputs.mask)
        hidden = inputs.states
        for block in self.blocks:
            hidden = block(hidden)
        output: Tensor = self.norm(hidden)
        return output
