"""MLP: a residual network that works on each position alone."""

from __future__ import annotations

from torch import Tensor, nn

from components.backbones.pointwise import PointwiseBackbone
from components.layers.block import PointwiseBlock
from components.layers.feedforward import FeedForward, FeedForwardFactory
from components.layers.linear import residual_std
from components.layers.norms import NormFactory, RMSNorm
from components.layers.sizes import require_positive


class MLP(PointwiseBackbone):
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

    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""
        for block in self.blocks:
            states = block(states)
        output: Tensor = self.norm(states)
        return output
