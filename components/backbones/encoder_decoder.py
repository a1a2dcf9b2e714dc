"""Encoder-decoder: reads a context in both directions, and then a sequence causally."""

from __future__ import annotations

from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded
from components.layers.attention import (
    Attention,
    AttentionFactory,
    ScaledDotProduct,
    width_of_heads,
)
from components.layers.block import PreNormBlock
from components.layers.cross import CrossAttention, CrossBlock
from components.layers.feedforward import FeedForward, FeedForwardFactory, ProjectionFactory
from components.layers.linear import require_positive, residual_std
from components.layers.masks import attention_mask, position_indices
from components.layers.norms import NormFactory, RMSNorm
from components.layers.positions import Positions, PositionsFactory, Rotary


class EncoderDecoder(Backbone):
    """Encodes a context, whose positions all see each other, and decodes states that attend to it.

    The layout of T5, which Chronos uses. T5 itself is `positions=RelativeBias`, an attention of
    scale 1 and a feed-forward network of ReLUs; the defaults are more recent.
    With a cache the context is encoded once, and then each new state costs little, however long
    the context is.

    Args:
        dim: Width of the hidden states.
        depth: Number of encoder blocks (attention, feed-forward), and of decoder blocks
            (attention, cross-attention, feed-forward).
        heads: Number of attention heads, a divisor of `dim` unless `head_dim` is given.
        kv_heads: Number of key and value heads, a divisor of `heads`; by default as many. Fewer
            make the cache smaller.
        head_dim: Width of a head, by default `dim` / `heads`.
        projection: Makes a layer in front of queries, keys and values of self-attention in each
            block; None for none.
        attention: The operator on queries, keys and values.
        feedforward: Makes the position-wise network.
        norm: Makes the norms, before each part of a block and after both stacks.
        positions: How positions are encoded, in the context and in the states; cross-attention
            sees no positions.
        dropout: Probability to drop an attention weight or a component of what a block adds, while
            training.

    Raises:
        ValueError: If a size is below 1, the heads do not divide as they must, or a sequence is
            longer than learned positions.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning" (T5, arXiv:1910.10683),
    section 2.1.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        projection: ProjectionFactory | None = None,
        attention: AttentionFactory = ScaledDotProduct,
        feedforward: FeedForwardFactory = FeedForward,
        norm: NormFactory = RMSNorm,
        positions: PositionsFactory = Rotary,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_positive("EncoderDecoder", dim=dim, depth=depth, heads=heads)
        self.dim, self.depth = dim, depth
        width = width_of_heads(dim, heads, head_dim)
        self.context_positions = positions(dim=dim, heads=heads, head_dim=width)
        self.positions = positions(dim=dim, heads=heads, head_dim=width)

        def reader(marks: Positions, std: float) -> Attention:
            return Attention(
                dim,
                heads,
                kv_heads,
                width,
                rotate=marks.rotate,
                projection=projection,
                attention=attention,
                dropout=dropout,
                out_std=std,
            )

        def encoder(std: float) -> PreNormBlock:
            own = reader(self.context_positions, std)
            return PreNormBlock(dim, own, feedforward(dim=dim, out_std=std), norm, dropout)

        def decoder(std: float) -> CrossBlock:
            cross = CrossAttention(
                dim, heads, kv_heads, width, attention=attention, dropout=dropout, out_std=std
            )
            own = reader(self.positions, std)
            network = feedforward(dim=dim, out_std=std)
            return CrossBlock(dim, own, cross, network, norm, dropout)

        encoders = [encoder(residual_std(2 * depth)) for _ in range(depth)]
        decoders = [decoder(residual_std(3 * depth)) for _ in range(depth)]
        self.blocks = nn.ModuleList([*encoders, *decoders])
        self.context_norm = norm(dim=dim)
        self.norm = norm(dim=dim)

    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes an empty cache for `length` positions, those of the context included."""
        return Cache(self.depth, batch_size, length)

    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]` of the states; see `Backbone.forward`.

        Raises:
            ValueError: If there is no context, or a second one on the same cache.
        """
        states, key_mask, context, context_mask, _ = inputs
        started = cache is not None and cache.length > 0
        if (context is None) != started:
            raise ValueError(
                "EncoderDecoder got another context with a cache that has one; "
                "give the context with the first call only."
                if started
                else "EncoderDecoder has no context to encode, as it continues or scores no text "
                "alone; give pairs of source and target, or choose Decoder for such data."
            )
        if context is not None:
            context = self._encode(context, context_mask)
        device, new = states.device, states.shape[1]
        known = 0 if cache is None else cache.length
        if cache is not None:
            key_mask = cache.grow(states, key_mask)
            context_mask = cache.context_mask = cache.context_mask if started else context_mask
        self.positions.require(known + new)
        positions = position_indices(known + new, known + new, key_mask, device)
        index = positions[:, known:]
        mask = attention_mask(new, known + new, 0, key_mask, device)
        mask = self.positions.add_bias(mask, positions, new, bidirectional=False)
        hidden = self.positions(states, index)
        index = self.positions.prepare(index, hidden.dtype)
        for position, block in enumerate(list(self.blocks)[self.depth :]):
            layer_cache = None if cache is None else cache.layers[position]
            hidden = block(hidden, index, mask, layer_cache, context, context_mask)
        output: Tensor = self.norm(hidden)
        return output

    def _encode(self, context: Tensor, key_mask: Tensor | None) -> Tensor:
        """Encodes a context `[B, C, D]` with `key_mask` `[B, C]`, bidirectionally.

        Positions are counted from the first that is seen; gaps behind it count.
        """
        size, device = context.shape[1], context.device
        self.context_positions.require(size)
        begun = None if key_mask is None else key_mask.cumsum(1) > 0
        index = position_indices(size, size, begun, device)
        mask = attention_mask(size, size, size, key_mask, device)
        mask = self.context_positions.add_bias(mask, index, size, bidirectional=True)
        hidden = self.context_positions(context, index)
        index = self.context_positions.prepare(index, hidden.dtype)
        for block in list(self.blocks)[: self.depth]:
            hidden = block(hidden, index, mask)
        encoded: Tensor = self.context_norm(hidden)
        return encoded
