"""Block: the repeated part of a Transformer; the unit of sharding, checkpointing and compiling."""

from __future__ import annotations

from torch import Tensor, nn

from components.layers.attention import Attention
from components.layers.cache import LayerCache
from components.layers.cross import CrossAttention
from components.layers.feedforward import PositionWise
from components.layers.masks import Mask
from components.layers.norms import NormFactory
from components.layers.plan import TensorPlan


class Block(nn.Module):
    r"""Adds attention, cross-attention if any, and a network to a residual stream.

    .. math:: x \leftarrow x + \mathrm{attention}(\mathrm{norm}(x)), \quad
              x \leftarrow x + \mathrm{cross}(\mathrm{norm}(x), \mathrm{context}), \quad
              x \leftarrow x + \mathrm{feedforward}(\mathrm{norm}(x))

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        feedforward: Maps each position on its own.
        norm: Makes the norm in front of each part.
        dropout: Probability to drop a component of what is added, while training.
        cross: Reads a context; None where there is none.

    Source: pre-norm, Xiong et al., "On Layer Normalization in the Transformer Architecture"
    (arXiv:2002.04745).
    """

    def __init__(
        self,
        dim: int,
        attention: Attention,
        feedforward: PositionWise,
        norm: NormFactory,
        dropout: float = 0.0,
        cross: CrossAttention | None = None,
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm(dim=dim), attention
        self.cross_norm = None if cross is None else norm(dim=dim)
        self.cross = cross
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
            index: Position of each state, `[B or 1, S]`, or what `Positions.prepare` made of it.
            mask: Which positions each position sees.
            cache: Keys and values of earlier calls; extended in place.
            context: `[B, C, D]`, what `cross` reads; None if the cache has it.
            context_mask: `[B, C]` bool, False on padding; None if nothing is padded.
        """
        gathered = self.attention(self.attention_norm(hidden), index, mask, cache)
        hidden = hidden + self.dropout(gathered)
        if self.cross is not None and self.cross_norm is not None:
            read = self.cross(self.cross_norm(hidden), context, context_mask, cache)
            hidden = hidden + self.dropout(read)
        made: Tensor = self.dropout(self.feedforward(self.feedforward_norm(hidden)))
        return hidden + made

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide heads and hidden units among them.

        Raises:
            ValueError: If a part has no plan, or is not divisible.
        """
        if self.cross is not None:
            raise ValueError(
                "Cross-attention has no plan for tensor parallelism; set tensor_parallel_size=1."
            )
        begin = TensorPlan(entries=frozenset({"feedforward_norm"}))
        attention = self.attention.plan(processes).within("attention")
        return attention | begin | self.feedforward.plan(processes).within("feedforward")
