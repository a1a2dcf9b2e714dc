"""Decoder: a causal Transformer, with the context as a prefix that every position sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from components.interfaces import Backbone, Cache, Embedded, TensorPlan
from components.layers.attention import (
    Attention,
    AttentionBias,
    AttentionFactory,
    AttentionOperator,
    ScaledDotProduct,
    width_of_heads,
)
from components.layers.block import Block, BlockFactory, PreNormBlock
from components.layers.feedforward import (
    FeedForward,
    FeedForwardFactory,
    ProjectionFactory,
    ValueFactory,
)
from components.layers.linear import require_positive, residual_std
from components.layers.low_rank import LowRankLinear
from components.layers.masks import Mask, attention_mask, document_indices, position_indices
from components.layers.norms import NormFactory, RMSNorm
from components.layers.positions import Positions, PositionsFactory, Rotary
from components.layers.spreading import Exchange, Spread, SpreadBlocks


class Decoder(Backbone):
    """Reads a sequence causally: a position sees what came before, itself and all of the context.

    With its defaults a modern small Transformer; GPT-2 is `norm=LayerNorm, positions=Learned`,
    Llama and OLMo are `feedforward=SwiGLU`, and FANformer is those with `projection=FanLayer`,
    whose activation is `torch.nn.Identity`. Positions of the context see each other.

    Args:
        dim: Width of the hidden states.
        depth: Number of blocks.
        heads: Number of attention heads, a divisor of `dim` unless `head_dim` is given.
        kv_heads: Number of key and value heads, a divisor of `heads`; by default as many. Fewer
            make the cache smaller.
        head_dim: Width of a head, by default `dim` / `heads`.
        projection: Makes a layer in front of queries, keys and values in each block, applied once
            to the normalized states; None for none.
        value: Makes the map from the normalized states to values, in place of a matrix behind
            `projection`; None for that matrix.
        bias: Whether the linear maps of attention have a bias; "qkv" for all but the last.
        qk_norm: Makes the norms of queries and of keys, before they are rotated; None for none.
        qk_norm_over: Whether these normalize each head on its own, or all heads together.
        clip_qkv: Bound of the entries of queries, keys and values, positive; None for none. OLMo
            of April 2024 has 8.
        attention: The operator on queries, keys and values.
        feedforward: Makes the position-wise network.
        norm: Makes the norms, of each part of a block and at the end.
        block: Where the norms of a block are, and whether its parts read the same states.
        positions: How positions are encoded.
        window: How many positions a position sees, itself included; None for all. A list is
            repeated over the blocks: [4096, 4096, 4096, null] is that of OLMo 3.
        window_positions: How blocks with a window encode positions in queries and keys, without
            parameters; by default as the others.
        dropout: Probability to drop an attention weight or a component of what a block adds, while
            training.

    Raises:
        ValueError: If a size is below 1, the heads do not divide as they must, a sequence is
            longer than learned positions, or `window_positions` does not suit.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2); prefix:
    Raffel et al., "Exploring the Limits of Transfer Learning" (arXiv:1910.10683), section 3.2.1;
    FANformer: Dong et al. (arXiv:2502.21309), eq. 1-5, where the square root in eq. 3 is that of
    the width of a head, as in their code; `value=FanLayer` is a variant of that code only.
    """

    separates = True

    def __init__(
        self,
        dim: int,
        depth: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        projection: ProjectionFactory | None = None,
        value: ValueFactory | None = None,
        bias: AttentionBias = False,
        qk_norm: NormFactory | None = None,
        qk_norm_over: Literal["head", "all"] = "head",
        clip_qkv: float | None = None,
        attention: AttentionFactory = ScaledDotProduct,
        feedforward: FeedForwardFactory = FeedForward,
        norm: NormFactory = RMSNorm,
        block: BlockFactory = PreNormBlock,
        positions: PositionsFactory = Rotary,
        window: int | Sequence[int | None] | None = None,
        window_positions: PositionsFactory | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_positive("Decoder", dim=dim, depth=depth, heads=heads)
        self.dim = dim
        width = width_of_heads(dim, heads, head_dim)
        self.positions = positions(dim=dim, heads=heads, head_dim=width)
        self.windows = _windows(window, depth)
        self.window_positions = None
        if window_positions is not None:
            self.window_positions = window_positions(dim=dim, heads=heads, head_dim=width)
            _require_in_attention(self.window_positions, self.windows)
        near = self.window_positions or self.positions
        std = residual_std(2 * depth)

        def reader(seen: int | None) -> Attention:
            return Attention(
                dim,
                heads,
                kv_heads,
                width,
                rotate=(self.positions if seen is None else near).rotate,
                projection=projection,
                value=value,
                bias=bias,
                qk_norm=qk_norm,
                qk_norm_over=qk_norm_over,
                clip_qkv=clip_qkv,
                attention=attention,
                dropout=dropout,
                out_std=std,
            )

        self.blocks = nn.ModuleList(
            block(
                dim=dim,
                attention=reader(seen),
                feedforward=feedforward(dim=dim, out_std=std),
                norm=norm,
                dropout=dropout,
            )
            for seen in self.windows
        )
        self.norm = norm(dim=dim)

    def new_cache(self, batch_size: int, length: int) -> Cache:
        """Makes an empty cache for `length` positions, those of the context included.

        Raises:
            ValueError: If that is too long.
        """
        self.positions.require(length)
        return Cache(len(self.blocks), batch_size, length)

    def forward(self, inputs: Embedded, cache: Cache | None = None) -> Tensor:
        """Computes hidden states `[B, S, D]` of the states; see `Backbone.forward`.

        Raises:
            ValueError: If a context comes later than with the first call on a cache, or documents
                are given beside padding, a context or a cache.
        """
        if inputs.documents is not None:
            return self._separated(inputs, inputs.documents, cache)
        sequence, key_mask, prefix = _prepend(inputs)
        device, new = sequence.device, sequence.shape[1]
        known = 0 if cache is None else cache.length
        if prefix and known:
            raise ValueError(
                f"Decoder got a context of {prefix} positions, but the cache holds {known} "
                "already; give the context with the first call only."
            )
        if cache is not None:
            key_mask = cache.grow(sequence, key_mask)
        self.positions.require(known + new)
        positions = position_indices(known + new, known + new, key_mask, device)
        index = positions[:, known:]
        mask = attention_mask(new, known + new, prefix, key_mask, device)
        mask = self.positions.add_bias(mask, positions, new, bidirectional=False)
        masks = self._masks(mask, positions, new)
        hidden = self.through(self.positions(sequence, index), index, masks, cache)
        output: Tensor = self.norm(hidden[:, prefix:])
        return output

    def through(
        self,
        hidden: Tensor,
        index: Tensor,
        masks: Mapping[int | None, Mask],
        cache: Cache | None = None,
    ) -> Tensor:
        """Passes states `[B, S, D]` through all blocks.

        Args:
            hidden: The states, with positions added.
            index: Positions, `[B or 1, S]`.
            masks: The mask of each window, as the operator of attention reads it.
            cache: Holds earlier positions, and is extended in place.
        """
        indices = self._indices(index, hidden.dtype)
        for position, (block, window) in enumerate(zip(self.blocks, self.windows, strict=True)):
            layer_cache = None if cache is None else cache.layers[position]
            hidden = block(hidden, indices[window], masks[window], layer_cache)
        return hidden

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide each block among them; positions are whole in each.

        Raises:
            ValueError: If a part has no plan, or `processes` divides no heads or hidden units.
        """
        if any(isinstance(module, LowRankLinear) for module in self.modules()):
            raise ValueError(
                "Decoder has no plan for tensor parallelism with additions of low rank; set "
                "tensor_parallel_size=1, or drop adaptation."
            )
        if self.positions.by_head:
            kind = type(self.positions).__name__
            raise ValueError(
                f"Decoder has no plan for tensor parallelism with {kind}, whose biases differ "
                "by head; set tensor_parallel_size=1, or use Rotary."
            )
        return cast(Block, self.blocks[0]).plan(processes)  # all are alike

    def spread(self, exchange: Exchange) -> None:
        """Divides positions among processes; see `Backbone.spread`.

        Raises:
            ValueError: If attention has another operator than `ScaledDotProduct`.
        """
        spread = Spread(exchange)
        readers = [cast(Block, block).attention for block in self.blocks]
        operator = readers[0].operator
        if not isinstance(operator, ScaledDotProduct):
            raise ValueError(
                f"Decoder cannot divide positions among processes with {type(operator).__name__}; "
                "set context_parallel_size=1."
            )
        for reader in readers:
            reader.operator = spread.attention(reader.operator)
        self.through = SpreadBlocks(self.through, operator, spread)  # type: ignore[method-assign]

    def _separated(self, inputs: Embedded, documents: Tensor, cache: Cache | None) -> Tensor:
        """Computes hidden states of windows, each document on its own; positions restart."""
        if any(given is not None for given in (inputs.mask, inputs.context, cache)):
            raise ValueError(
                "Decoder keeps the documents of whole windows apart, which have no padding, "
                "context or cache; drop these, or the documents."
            )
        states, size = inputs.states, inputs.states.shape[1]
        self.positions.require(size)
        index = document_indices(documents)
        mask = self.positions.add_bias(
            Mask(causal=True, documents=documents), index, size, bidirectional=False
        )
        masks = self._masks(mask, index, size)
        output: Tensor = self.norm(self.through(self.positions(states, index), index, masks))
        return output

    def _indices(self, index: Tensor, dtype: torch.dtype) -> dict[int | None, Tensor]:
        """Prepares positions `[B or 1, S]` for the blocks of each window."""
        far = near = self.positions.prepare(index, dtype)
        if self.window_positions is not None:
            near = self.window_positions.prepare(index, dtype)
        return {window: far if window is None else near for window in self.windows}

    def _masks(self, mask: Mask, positions: Tensor, queries: int) -> dict[int | None, Mask]:
        """Returns the mask of each window, as the operator of attention reads it.

        Args:
            mask: Which keys each query sees, without windows.
            positions: Numbers of the keys, `[B or 1, K]`; the last of them are the queries.
            queries: Number of queries.
        """
        operator: AttentionOperator = cast(Block, self.blocks[0]).attention.operator
        keys, device = positions.shape[1], positions.device
        return {
            window: operator.prepare(mask.within(window, positions, queries), keys, device)
            for window in dict.fromkeys(self.windows)
        }


def _windows(window: int | Sequence[int | None] | None, depth: int) -> list[int | None]:
    """Returns the window of each block, None where it sees all.

    Raises:
        ValueError: If there are none, more than blocks, or one is below 1.
    """
    cycle = list(window) if isinstance(window, Sequence) else [window]
    if not 1 <= len(cycle) <= depth or any(one is not None and one < 1 for one in cycle):
        raise ValueError(
            f"Decoder: window={window} must be at least 1, or a list of such numbers and null, no "
            f"longer than depth={depth}; correct it."
        )
    return [cycle[index % len(cycle)] for index in range(depth)]


def _require_in_attention(positions: Positions, windows: list[int | None]) -> None:
    """Checks positions that only blocks with a window have.

    Raises:
        ValueError: If no block has one, or they are not encoded in queries and keys alone.
    """
    kind = type(positions)
    if not any(windows):
        raise ValueError(
            f"Decoder: window_positions={kind.__name__} without a window has no effect; give "
            "window, or drop it."
        )
    if kind.rotate is Positions.rotate and any(True for _ in positions.parameters()):
        raise ValueError(
            f"Decoder: window_positions={kind.__name__} are not encoded in queries and keys; "
            "choose Rotary or NoPositions."
        )


def _prepend(inputs: Embedded) -> tuple[Tensor, Tensor | None, int]:
    """Joins context and states `[B, C + S, D]`, and their masks, and counts the context."""
    states, mask, context, context_mask, _ = inputs
    if context is None:
        return states, mask, 0
    if mask is not None or context_mask is not None:
        mask = torch.cat((_filled(context_mask, context), _filled(mask, states)), 1)
    return torch.cat((context, states), 1), mask, context.shape[1]


def _filled(mask: Tensor | None, states: Tensor) -> Tensor:
    if mask is not None:
        return mask
    return torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
