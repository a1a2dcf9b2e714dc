"""Positions: how a sequence model learns where things stand."""

from __future__ import annotations

from abc import ABC
from typing import Protocol

import torch
from torch import Tensor, nn

from components.layers.linear import Embedding


class Positions(nn.Module, ABC):
    """Marks hidden states, or queries and keys, with positions; overridden where needed."""

    def require(self, length: int) -> None:
        """Raises a ValueError if a sequence of `length` positions is too long."""

    def forward(self, states: Tensor, index: Tensor) -> Tensor:
        """Marks states `[B, S, D]` that stand at `index` `[B or 1, S]`, before the first block."""
        return states

    def rotate(self, queries: Tensor, keys: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Marks queries `[B, H, S, E]` and keys `[B, G, S, E]` at `index` `[B or 1, S]`.

        Every block does that. It must use no parameters: those of a module are gathered for its
        `forward` only.
        """
        return queries, keys


class PositionsFactory(Protocol):
    """Builds what marks positions."""

    def __call__(self, *, dim: int, heads: int) -> Positions:
        """Builds it for hidden states of width `dim` that attend with `heads` heads."""


class NoPositions(Positions):
    """Leaves positions out: a causal decoder can still tell them by counting what it sees.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.

    Source: Haviv et al., "Transformer Language Models without Positional Encodings Still Learn
    Positional Information" (arXiv:2203.16634).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()


class Rotary(Positions):
    r"""Turns queries and keys by angles that grow with position: attention sees distances.

    Dimension i and i + E/2 of a head of width E form a plane, which is turned at position t by
    :math:`t\,\theta^{-2i/E}` (the "rotate half" layout of GPT-NeoX and Llama). Angles are computed
    in float32.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.
        theta: Base of the wavelengths, which run from 2π to 2π `theta` positions.

    Raises:
        ValueError: If a head has an odd width.

    Source: Su et al., "RoFormer" (arXiv:2104.09864), eq. 34.
    """

    def __init__(self, dim: int, heads: int, theta: float = 10000.0) -> None:
        super().__init__()
        if heads > 0 and dim % heads == 0 and dim // heads % 2:  # Attention complains of a rest
            raise ValueError(
                f"Rotary turns pairs of dimensions, but dim={dim} with heads={heads} gives heads "
                f"of odd width {dim // heads}; choose an even width or positions=Learned."
            )
        self.theta = theta

    def rotate(self, queries: Tensor, keys: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Turns queries `[B, H, S, E]` and keys `[B, G, S, E]` at `index` `[B or 1, S]`."""
        wide = torch.promote_types(queries.dtype, torch.float32)
        half = queries.shape[-1] // 2
        planes = torch.arange(half, device=queries.device, dtype=wide)
        angles = index[:, None, :, None].to(wide) * self.theta ** (-planes / half)
        cos, sin = angles.cos(), angles.sin()  # [B or 1, 1, S, E/2]
        return _turn(queries, cos, sin), _turn(keys, cos, sin)


class Learned(Positions):
    """Adds a learned vector per position to the states, as GPT-2 does.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.
        length: Number of positions that have a vector; longer sequences are refused.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2).
    """

    def __init__(self, dim: int, heads: int, length: int = 1024) -> None:
        super().__init__()
        self.length = length
        self.table = Embedding(length, dim)

    def require(self, length: int) -> None:
        """Raises a ValueError if a sequence of `length` positions is too long."""
        if length > self.length:
            raise ValueError(
                f"Learned positions end at length={self.length}, but the sequence has {length}; "
                f"raise length or choose positions=Rotary."
            )

    def forward(self, states: Tensor, index: Tensor) -> Tensor:
        """Adds the vectors of `index` `[B or 1, S]` to states `[B, S, D]`."""
        marked: Tensor = states + self.table(index)
        return marked


def _turn(vectors: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = vectors.to(cos.dtype).chunk(2, -1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), -1)
    return turned.to(vectors.dtype)
