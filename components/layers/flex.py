"""FlexAttention: attention that skips the blocks of keys which no query of theirs sees."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from components.layers.attention import ScaledDotProduct
from components.layers.key_value import KeyValue
from components.layers.masks import Mask

BLOCK = 128  # queries, or keys, that the kernel treats at once


class FlexAttention(ScaledDotProduct):
    """Sees documents of long texts apart without a matrix of S · S booleans, on a GPU.

    The fused kernel skips the blocks of 128 keys that lie in another document or before the
    `window` of a `Decoder`, so that time and memory grow with these rather than with the text. It
    is compiled when it is first used. Without documents and window it is `ScaledDotProduct`.

    Args:
        dropout: Probability to drop an attention weight while training; the kernel has none.
        scale: Factor of queries · keys, 1/√E if not given.

    Raises:
        ValueError: If `dropout` is not 0, or when it is trained on a CPU, where the kernel has no
            gradient.

    Source: Dong et al., "Flex Attention" (arXiv:2412.05496).
    """

    def __init__(self, dropout: float = 0.0, scale: float | None = None) -> None:
        super().__init__(dropout, scale)
        if dropout:
            raise ValueError(
                f"FlexAttention cannot drop attention weights (dropout={dropout}); set dropout "
                "to 0, or choose ScaledDotProduct."
            )

    def prepare(self, mask: Mask, size: int, device: torch.device) -> Mask:
        """Finds the blocks that a mask needs, once for all blocks of the network."""
        if mask.documents is None and mask.window is None:
            return mask
        if device.type == "cpu" and torch.is_grad_enabled():
            raise ValueError(
                "FlexAttention has no gradient on a CPU; choose ScaledDotProduct there."
            )
        return mask._replace(blocks=_blocks(mask.documents, mask.window, size, device))

    def forward(self, queries: Tensor, own: KeyValue, past: KeyValue, mask: Mask) -> Tensor:
        """Attends with queries `[B, H, Q, E]` to `past`, which includes their own positions."""
        if mask.blocks is None:
            return super().forward(queries, own, past, mask)
        attend = _kernel(queries.device.type == "cuda")
        grouped = queries.shape[1] != past.keys.shape[1]
        output: Tensor = attend(
            queries, *past, block_mask=mask.blocks, scale=self.scale, enable_gqa=grouped
        )
        return output


@cache
def _kernel(compiled: bool) -> Any:
    """Returns the kernel, compiled once for all blocks: otherwise it multiplies whole matrices."""
    from torch.nn.attention.flex_attention import flex_attention  # takes long to import

    return torch.compile(flex_attention) if compiled else flex_attention


def _blocks(
    documents: Tensor | None, window: int | None, length: int, device: torch.device
) -> Any:
    """Finds which blocks of keys are seen: earlier ones, of the same document, in the window.

    As numbers of documents never fall, the ends of two blocks decide for all pairs between.
    """
    from torch.nn.attention.flex_attention import BlockMask

    def seen(example: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        near = key <= query
        if window is not None:
            near = near & (query - key < window)
        if documents is None:
            return near
        return near & (documents[example, key] == documents[example, query])

    numbers = torch.zeros(1, length, device=device) if documents is None else documents
    reach = length if window is None else window
    start = torch.arange(0, length, BLOCK, device=device)
    end = start + BLOCK - 1
    first, last = numbers[:, None, start], numbers[:, None, end.clamp(max=length - 1)]  # [B, 1, N]
    query, key = (..., slice(None), None), (..., None, slice(None))
    earlier = start[query] > start[key]
    some = earlier & (first[query] == last[key]) & (start[query] - end[key] < reach)
    every = earlier & (last[query] == first[key]) & (end[query] - start[key] < reach)
    every = every & (end < length)[query]  # [B, 1, N, N]
    partial = (some & ~every) | (start[query] == start[key])
    return BlockMask.from_kv_blocks(
        *(*_listed(partial), *_listed(every)),
        BLOCK_SIZE=BLOCK,
        mask_mod=seen,
        seq_lengths=(length, length),
    )


def _listed(chosen: Tensor) -> tuple[Tensor, Tensor]:
    """Returns how many keys of each row are chosen, and their numbers before all others."""
    order = chosen.int().argsort(dim=-1, descending=True, stable=True)
    return chosen.sum(-1, dtype=torch.int32), order.int()
