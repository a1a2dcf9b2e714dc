"""Position encodings of sequence models."""

from __future__ import annotations

import math
from abc import ABC
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from components.layers.derivatives import is_transformed
from components.layers.linear import Embedding
from components.layers.masks import Mask
from components.layers.rotary_scaling import RotaryScaling

FEW = 2**16  # numbers for which fewer calls are worth more than work in place


class Positions(nn.Module, ABC):
    """Adds positions to hidden states, to queries and keys, or to scores."""

    by_head = False
    """Whether scores of each head get biases of their own."""

    def require(self, length: int) -> None:
        """Raises a ValueError if a sequence of `length` positions is too long."""

    def forward(self, states: Tensor, index: Tensor) -> Tensor:
        """Adds positions `index` `[B or 1, S]` to states `[B, S, D]`, before the first block."""
        return states

    def prepare(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Brings positions `[B or 1, S]` into the form that `rotate` reads, once for all blocks.

        Args:
            index: The positions.
            dtype: Type of the hidden states.
        """
        return index

    def rotate(self, queries: Tensor, keys: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Encodes positions in queries `[B, H, S, E]` and keys `[B, G, S, E]`.

        Every block does that. It must not use parameters: sharded ones are gathered for `forward`
        only.

        Args:
            queries: The queries.
            keys: The keys.
            index: Positions `[B or 1, S]`, or what `prepare` made of them.
        """
        return queries, keys

    def add_bias(self, mask: Mask, index: Tensor, queries: int, bidirectional: bool) -> Mask:
        """Adds a bias to the scores, once for all blocks.

        Args:
            mask: Which keys each query sees.
            index: Positions of the keys, `[B or 1, K]`; the last of them are the queries.
            queries: Number of queries.
            bidirectional: Whether positions see later ones too, as in an encoder.
        """
        return mask


class PositionsFactory(Protocol):
    """Builds a position encoding."""

    def __call__(self, *, dim: int, heads: int, head_dim: int) -> Positions:
        """Builds it for states of width `dim` that attend with `heads` of width `head_dim`."""


class NoPositions(Positions):
    """No position encoding: a causal decoder can still count the keys that it sees.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.
        head_dim: Width of a head.

    Source: Haviv et al., "Transformer Language Models without Positional Encodings Still Learn
    Positional Information" (arXiv:2203.16634).
    """

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()


class Rotary(Positions):
    r"""Rotates queries and keys by angles that grow with position: scores depend on distances.

    Dimension i and i + E/2 of a head of width E form a plane, which is rotated at position t by
    :math:`t\,\theta^{-2i/E}` (the "rotate half" layout of GPT-NeoX and Llama). Angles are computed
    in float32. Where only a fraction of a head is rotated, E is the width of that fraction, the
    first dimensions of the head.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.
        head_dim: Width of a head, even.
        theta: Base of the wavelengths, which run from 2π to 2π `theta` positions.
        fraction: How much of each head is rotated, above 0 and at most 1; a quarter in Pythia.
        scaling: Changes the frequencies, for sequences longer than those of the first training.

    Raises:
        ValueError: If what is rotated has an odd width, or none.

    Source: Su et al., "RoFormer" (arXiv:2104.09864), eq. 34; fractions: Black et al.,
    "GPT-NeoX-20B" (arXiv:2204.06745), section 2.1.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        head_dim: int,
        theta: float = 10000.0,
        fraction: float = 1.0,
        scaling: RotaryScaling | None = None,
    ) -> None:
        super().__init__()
        self.width = int(fraction * head_dim)
        if head_dim % 2 and fraction == 1:
            raise ValueError(
                f"Rotary rotates pairs of dimensions, but dim={dim} with heads={heads} gives "
                f"heads of odd width {head_dim}; choose an even width or positions=Learned."
            )
        if not 0 < fraction <= 1 or self.width % 2 or self.width < 2:
            raise ValueError(
                f"Rotary: fraction={fraction} of heads of width {head_dim} is {self.width} "
                "dimensions; choose a fraction, above 0 and at most 1, that is an even number."
            )
        self.theta, self.scaling = theta, scaling

    def prepare(self, index: Tensor, dtype: torch.dtype) -> Tensor:
        """Computes cosines, and sines with the sign of each half, `[2, B or 1, S, width]`."""
        wide = torch.promote_types(dtype, torch.float32)
        half = self.width // 2
        planes = torch.arange(half, device=index.device, dtype=wide)
        frequencies = self.theta ** (-planes / half)
        if self.scaling is not None:
            frequencies = self.scaling.apply(frequencies, self.theta)
        angles = index[..., None].to(wide) * frequencies
        cos, sin = angles.cos(), angles.sin()
        amplitude = 1.0 if self.scaling is None else self.scaling.amplitude
        return amplitude * torch.stack((torch.cat((cos, cos), -1), torch.cat((-sin, sin), -1)))

    def rotate(self, queries: Tensor, keys: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Rotates queries `[B, H, S, E]` and keys `[B, G, S, E]`; see `Positions.rotate`."""
        angles = index if index.is_floating_point() else self.prepare(index, queries.dtype)
        return _rotate(queries, angles), _rotate(keys, angles)


class Learned(Positions):
    """Adds a learned vector per position to the states, as GPT-2 does.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.
        head_dim: Width of a head.
        length: Number of positions that have a vector; longer sequences raise an error.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2).
    """

    def __init__(self, dim: int, heads: int, head_dim: int, length: int = 1024) -> None:
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


class RelativeBias(Positions):
    r"""Adds a learned bias for the distance of query and key to each score, as T5 does.

    Every head has its own biases, and all blocks of a stack share them. Distances fall into
    buckets: half of the buckets have one distance each, the others grow logarithmically up to
    `reach`; the last has all beyond. Where positions see later ones too, half of the buckets are
    for later positions; in a decoder whose context is a prefix, these count as distance 0.

    Distances are counted without padding. The matrix of biases `[B or 1, H, Q, K]` is built once
    per pass; with it torch has no fused kernel for training, so memory grows with Q · K.

    Args:
        dim: Width of the hidden states.
        heads: Number of attention heads.
        head_dim: Width of a head.
        buckets: Number of buckets, a multiple of 4.
        reach: Distance from which on all are in the last bucket, more than half of `buckets`.

    Raises:
        ValueError: If `buckets` or `reach` is out of its range.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning" (T5, arXiv:1910.10683),
    section 2.1.
    """

    by_head = True

    def __init__(
        self, dim: int, heads: int, head_dim: int, buckets: int = 32, reach: int = 128
    ) -> None:
        super().__init__()
        if buckets < 4 or buckets % 4 or reach <= buckets // 2:
            raise ValueError(
                f"RelativeBias: buckets={buckets}, reach={reach}; it needs a multiple of 4 "
                "buckets and a reach of more than half as many."
            )
        self.buckets, self.reach = buckets, reach
        self.table = Embedding(buckets, heads)

    def add_bias(self, mask: Mask, index: Tensor, queries: int, bidirectional: bool) -> Mask:
        """Adds the biases to a mask; see `Positions.add_bias`."""
        distance = index[:, -queries:, None] - index[:, None]  # [B or 1, Q, K]
        bias = self.table(self.bucket(distance, bidirectional)).movedim(-1, 1)
        matrix = mask.as_matrix(queries, index.shape[1], index.device)
        return Mask(bias if matrix is None else bias.masked_fill(~matrix, -math.inf))

    def bucket(self, distance: Tensor, bidirectional: bool) -> Tensor:
        """Maps distances, positive to earlier positions, to buckets 0 to `buckets` - 1."""
        if not bidirectional:
            return _bucket(distance.clamp(min=0), self.buckets, self.reach)
        half = self.buckets // 2
        return _bucket(distance.abs(), half, self.reach) + half * (distance < 0)


def _bucket(distance: Tensor, buckets: int, reach: int) -> Tensor:
    """Maps distances to buckets: half of them hold one each, the others grow."""
    exact = buckets // 2
    octaves = (distance.clamp(min=exact) / exact).log() / math.log(reach / exact)
    far = exact + (octaves * (buckets - exact)).long()
    return torch.where(distance < exact, distance, far.clamp(max=buckets - 1))


def _rotate(vectors: Tensor, angles: Tensor) -> Tensor:
    """Rotates vectors `[B, H, S, E]` by what `Rotary.prepare` made of their positions.

    Only the first dimensions are rotated, as many as there are angles.
    """
    width = angles.shape[-1]
    if width < vectors.shape[-1]:
        return torch.cat((_rotate(vectors[..., :width], angles), vectors[..., width:]), -1)
    (cosines, sines), states = angles, vectors.to(angles.dtype)
    if states.numel() <= FEW and not torch.is_grad_enabled():
        swapped = states.roll(width // 2, -1)
        turned = torch.addcmul(states * cosines.unsqueeze(1), swapped, sines.unsqueeze(1))
    elif is_transformed(states):
        first, second = states.chunk(2, -1)
        swapped = torch.cat((second, first), -1)
        turned = states * cosines.unsqueeze(1) + swapped * sines.unsqueeze(1)
    else:
        turned = _Rotation.apply(states, cosines, sines)  # type: ignore[no-untyped-call] # torch's
    return turned.to(vectors.dtype)


class _Rotation(torch.autograd.Function):
    """A rotation and its gradient, which is the rotation back."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        ctx.save_for_backward(cosines, sines)
        return _turned(vectors, cosines, sines)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        cosines, sines = ctx.saved_tensors
        back: Tensor = _Rotation.apply(gradients[0], cosines, -sines)  # type: ignore[no-untyped-call] # torch's
        return back, None, None


def _turned(vectors: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Rotates vectors `[B, H, S, E]` in two passes, over all heads of a position together."""
    rows = vectors.transpose(1, 2)  # [B, S, H, E], as linear maps write them
    angles = [table.unsqueeze(2) for table in (cosines, sines)]
    if len(cosines) == 1 and rows.device.type == "cpu":  # slow at short loops over a head
        angles = [table.expand(1, *rows.shape[1:]).contiguous() for table in angles]
    turned = rows * angles[0]
    halves, swapped, signed = (torch.unflatten(x, -1, (2, -1)) for x in (turned, rows, angles[1]))
    for here, there in ((0, 1), (1, 0)):
        halves[..., here, :].addcmul_(swapped[..., there, :], signed[..., here, :])
    return turned.transpose(1, 2)
