"""Cross-attention: the positions of a sequence attend to an encoded context, and its block."""

from __future__ import annotations

from torch import Tensor, nn

from components.layers.attention import (
    Attention,
    AttentionFactory,
    ScaledDotProduct,
    groups_of_heads,
    join_heads,
    split_heads,
    width_of_heads,
)
from components.layers.cache import LayerCache
from components.layers.feedforward import PositionWise
from components.layers.key_value import KeyValue
from components.layers.linear import INITIAL_STD, Linear, ResidualLinear
from components.layers.masks import Mask
from components.layers.norms import NormFactory


class CrossAttention(nn.Module):
    """Attention of the positions of a sequence to an encoded context, without positions.

    Args:
        dim: Width of the hidden states.
        heads: Number of query heads, a divisor of `dim` unless `head_dim` is given.
        kv_heads: Number of key and value heads, a divisor of `heads`; by default as many.
        head_dim: Width of a head, by default `dim` / `heads`.
        attention: The operator on queries, keys and values.
        dropout: Probability to drop an attention weight while training.
        out_std: Standard deviation of the initial entries of the last matrix.

    Raises:
        ValueError: If the heads do not divide as they must, or the operator separates `own`
            from `past`, which a context does not have.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        *,
        attention: AttentionFactory = ScaledDotProduct,
        dropout: float = 0.0,
        out_std: float = INITIAL_STD,
    ) -> None:
        super().__init__()
        self.head_dim = width_of_heads(dim, heads, head_dim)
        self.kv_heads = groups_of_heads(heads, kv_heads)
        self.query = Linear(dim, heads * self.head_dim, bias=False)
        self.key_value = Linear(dim, 2 * self.kv_heads * self.head_dim, bias=False)
        self.operator = attention(dropout=dropout)
        if not self.operator.one_stream:
            raise ValueError(
                f"{type(self.operator).__name__} treats the past of a position unlike itself, but "
                "CrossAttention reads a context, which is no past; choose Decoder, or "
                "attention=ScaledDotProduct."
            )
        self.out = ResidualLinear(heads * self.head_dim, dim, bias=False, std=out_std)

    def forward(
        self,
        hidden: Tensor,
        context: Tensor | None = None,
        mask: Tensor | None = None,
        cache: LayerCache | None = None,
    ) -> Tensor:
        """Attends with hidden states `[B, S, D]` to a context `[B, C, D]` with mask `[B, C]`.

        The cache keeps keys and values of the context, so that later calls omit it. An example
        whose context is all padding reads zeros.
        """
        queries = split_heads(self.query(hidden), self.head_dim)
        past = self._keys_and_values(context, len(queries), cache)
        if mask is None:
            gathered = self.operator(queries, past, past, Mask())
        else:
            # a softmax over nothing is 0/0: attend to padding, then set zeros
            some = mask.any(1)[:, None, None, None]
            attended = Mask(mask[:, None, None] | ~some)
            gathered = self.operator(queries, past, past, attended).masked_fill(~some, 0.0)
        output: Tensor = self.out(join_heads(gathered))
        return output

    def _keys_and_values(
        self, context: Tensor | None, examples: int, cache: LayerCache | None
    ) -> KeyValue:
        if context is None:
            assert cache is not None
            assert cache.memory is not None
            memory = KeyValue(*cache.memory)
            if len(memory.keys) == examples:
                return memory
            _, groups, _, width = memory.keys.shape
            nothing = memory.keys.new_empty(examples, groups, 0, width)
            return self.operator.branch(memory, KeyValue(nothing, nothing))
        made = KeyValue(*split_heads(self.key_value(context), self.head_dim).chunk(2, 1))
        if cache is not None:
            cache.memory = made
        return made


class CrossBlock(nn.Module):
    r"""Adds attention, cross-attention and a network to a residual stream, each behind a norm.

    .. math:: x \leftarrow x + \mathrm{attention}(\mathrm{norm}(x)), \quad
              x \leftarrow x + \mathrm{cross}(\mathrm{norm}(x), \mathrm{context}), \quad
              x \leftarrow x + \mathrm{feedforward}(\mathrm{norm}(x))

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        cross: Reads a context.
        feedforward: Maps each position on its own.
        norm: Makes the norm in front of each part.
        dropout: Probability to drop a component of what is added, while training.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning" (T5, arXiv:1910.10683),
    section 2.1.
    """

    def __init__(
        self,
        dim: int,
        attention: Attention,
        cross: CrossAttention,
        feedforward: PositionWise,
        norm: NormFactory,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm(dim=dim), attention
        self.cross_norm, self.cross = norm(dim=dim), cross
        self.feedforward_norm, self.feedforward = norm(dim=dim), feedforward
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        hidden: Tensor,
        index: Tensor,
        mask: Mask,
        cache: LayerCache | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`.

        Args:
            hidden: The stream.
            index: Position of each state, `[B or 1, S]`.
            mask: Which positions each position sees.
            cache: Keys and values of earlier calls; extended in place.
            context: `[B, C, D]`, what `cross` reads; None if the cache has it.
            context_mask: `[B, C]` bool, False on padding; None if nothing is padded.
        """
        gathered = self.attention(self.attention_norm(hidden), index, mask, cache)
        hidden = hidden + self.dropout(gathered)
        read = self.cross(self.cross_norm(hidden), context, context_mask, cache)
        hidden = hidden + self.dropout(read)
        made: Tensor = self.dropout(self.feedforward(self.feedforward_norm(hidden)))
        return hidden + made
