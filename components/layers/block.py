"""Blocks: the repeated part of a Transformer; the unit of sharding, checkpointing and compiling.

They differ in where the norms are, and in whether attention and network read the same states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from torch import Tensor, nn

from components.layers.attention import Attention
from components.layers.cache import LayerCache
from components.layers.feedforward import PositionWise
from components.layers.masks import Mask
from components.layers.norms import NormFactory
from components.layers.plan import TensorPlan


class Block(nn.Module, ABC):
    """Adds attention and a network to a residual stream."""

    attention: Attention
    feedforward: PositionWise

    @abstractmethod
    def forward(
        self, hidden: Tensor, index: Tensor, mask: Mask, cache: LayerCache | None = None
    ) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`.

        Args:
            hidden: The stream.
            index: Position of each state, `[B or 1, S]`, or what `Positions.prepare` made of it.
            mask: Which positions each position sees.
            cache: Keys and values of earlier calls; extended in place.
        """

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide heads and hidden units among them.

        Raises:
            ValueError: If a part has no plan, or is not divisible.
        """
        raise ValueError(
            f"{type(self).__name__} has no plan for tensor parallelism; set "
            "tensor_parallel_size=1."
        )


class BlockFactory(Protocol):
    """Builds a block."""

    def __call__(
        self,
        *,
        dim: int,
        attention: Attention,
        feedforward: PositionWise,
        norm: NormFactory,
        dropout: float,
    ) -> Block:
        """Builds it for a stream of width `dim`."""


class NormedBlock(Block):
    """A block with a norm for attention and one for the network; subclasses say where they are.

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        feedforward: Maps each position on its own.
        norm: Makes the norms.
        dropout: Probability to drop a component of what is added, while training.
    """

    def __init__(
        self,
        dim: int,
        attention: Attention,
        feedforward: PositionWise,
        norm: NormFactory,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm(dim=dim), attention
        self.feedforward_norm, self.feedforward = norm(dim=dim), feedforward
        self.dropout = nn.Dropout(dropout)


class PreNormBlock(NormedBlock):
    r"""Normalizes in front of each part, as GPT-2 and Llama do.

    .. math:: x \leftarrow x + \mathrm{attention}(\mathrm{norm}(x)), \quad
              x \leftarrow x + \mathrm{feedforward}(\mathrm{norm}(x))

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        feedforward: Maps each position on its own.
        norm: Makes the norm in front of each part.
        dropout: Probability to drop a component of what is added, while training.

    Source: Xiong et al., "On Layer Normalization in the Transformer Architecture"
    (arXiv:2002.04745).
    """

    def forward(
        self, hidden: Tensor, index: Tensor, mask: Mask, cache: LayerCache | None = None
    ) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`; see `Block.forward`."""
        gathered = self.attention(self.attention_norm(hidden), index, mask, cache)
        hidden = hidden + self.dropout(gathered)
        made: Tensor = self.dropout(self.feedforward(self.feedforward_norm(hidden)))
        return hidden + made

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide heads and hidden units among them; see `Block.plan`."""
        return _plan(self, processes)


class ParallelBlock(NormedBlock):
    r"""Adds attention and network side by side, both of the same states, as GPT-NeoX does.

    .. math:: x \leftarrow x + \mathrm{attention}(\mathrm{norm}(x))
              + \mathrm{feedforward}(\mathrm{norm}(x))

    Each has a norm of its own.

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        feedforward: Maps each position on its own.
        norm: Makes the norm in front of each part.
        dropout: Probability to drop a component of what is added, while training.

    Source: Black et al., "GPT-NeoX-20B" (arXiv:2204.06745), section 2.1.
    """

    def forward(
        self, hidden: Tensor, index: Tensor, mask: Mask, cache: LayerCache | None = None
    ) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`; see `Block.forward`."""
        gathered = self.attention(self.attention_norm(hidden), index, mask, cache)
        made = self.dropout(self.feedforward(self.feedforward_norm(hidden)))
        output: Tensor = made + self.dropout(gathered) + hidden
        return output

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide heads and hidden units among them; see `Block.plan`."""
        return _plan(self, processes)


class PostNormBlock(NormedBlock):
    r"""Normalizes what each part adds, and nothing else, as OLMo 2 does.

    .. math:: x \leftarrow x + \mathrm{norm}(\mathrm{attention}(x)), \quad
              x \leftarrow x + \mathrm{norm}(\mathrm{feedforward}(x))

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        feedforward: Maps each position on its own.
        norm: Makes the norm behind each part.
        dropout: Probability to drop a component of what is added, while training.

    Source: OLMo Team, "2 OLMo 2 Furious" (arXiv:2501.00656), section 3.2.
    """

    def forward(
        self, hidden: Tensor, index: Tensor, mask: Mask, cache: LayerCache | None = None
    ) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`; see `Block.forward`."""
        gathered = self.attention(hidden, index, mask, cache)
        hidden = hidden + self.dropout(self.attention_norm(gathered))
        made: Tensor = self.dropout(self.feedforward_norm(self.feedforward(hidden)))
        return hidden + made


class SandwichBlock(NormedBlock):
    r"""Normalizes in front of each part and behind it, as Gemma 2 and 3 do.

    .. math:: x \leftarrow x + \mathrm{norm}(\mathrm{attention}(\mathrm{norm}(x))), \quad
              x \leftarrow x + \mathrm{norm}(\mathrm{feedforward}(\mathrm{norm}(x)))

    Args:
        dim: Width of the stream.
        attention: Reads the sequence.
        feedforward: Maps each position on its own.
        norm: Makes the norms.
        dropout: Probability to drop a component of what is added, while training.

    Source: Gemma Team, "Gemma 2" (arXiv:2408.00118), section 2.
    """

    def __init__(
        self,
        dim: int,
        attention: Attention,
        feedforward: PositionWise,
        norm: NormFactory,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, attention, feedforward, norm, dropout)
        self.attention_out_norm = norm(dim=dim)
        self.feedforward_out_norm = norm(dim=dim)

    def forward(
        self, hidden: Tensor, index: Tensor, mask: Mask, cache: LayerCache | None = None
    ) -> Tensor:
        """Maps hidden states `[B, S, D]` to hidden states `[B, S, D]`; see `Block.forward`."""
        gathered = self.attention(self.attention_norm(hidden), index, mask, cache)
        hidden = hidden + self.dropout(self.attention_out_norm(gathered))
        made = self.feedforward(self.feedforward_norm(hidden))
        added: Tensor = self.dropout(self.feedforward_out_norm(made))
        return hidden + added

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide heads and hidden units among them; see `Block.plan`."""
        return _plan(self, processes)


def _plan(block: Block, processes: int) -> TensorPlan:
    """Plans a block whose network reads what the module `feedforward_norm` returns."""
    begin = TensorPlan(entries=frozenset({"feedforward_norm"}))
    attention = block.attention.plan(processes).within("attention")
    return attention | begin | block.feedforward.plan(processes).within("feedforward")
