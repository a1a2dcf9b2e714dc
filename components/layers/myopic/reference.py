"""Attention with other keys and values for a position itself, with all scores in memory."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import dropout, softmax

from components.layers.key_value import KeyValue
from components.layers.linear import product_dtype
from components.layers.masks import Mask


def diagonal_attention(
    queries: Tensor,
    own: KeyValue,
    past: KeyValue,
    mask: Mask,
    drop: float = 0.0,
    scale: float | None = None,
) -> Tensor:
    r"""Attends to the position itself in `own`, to all other positions in `past`.

    .. math::
        S_{ts} = c\, q_t \cdot (k^{own}_t \text{ if } s = t \text{ else } k^{past}_s), \quad
        P = \mathrm{softmax}(S), \quad
        O_t = P_{tt} v^{own}_t + \sum_{s \ne t} P_{ts} v^{past}_s

    All scores are in memory, which grows with Q · K; computed in float32 or wider.

    Args:
        queries: `[B, H, Q, E]`, of the last Q of K positions.
        own: `[B, G, Q, E]`, keys and values that these positions see of themselves.
        past: `[B, G, K, E]`, keys and values that the others see.
        mask: Which keys each query sees.
        drop: Probability to drop a weight.
        scale: The factor c, 1/√E if not given.

    Returns:
        `[B, H, Q, E]`.

    Source: Wu et al., "Do language models plan ahead for future tokens?" (arXiv:2404.00859).
    """
    dtype, device = product_dtype(queries), queries.device
    wide = torch.promote_types(dtype, torch.float32)
    size, keys = queries.shape[2], past.keys.shape[2]
    group = queries.shape[1] // own.keys.shape[1]
    factor = 1 / math.sqrt(queries.shape[-1]) if scale is None else scale

    def per_head(vectors: Tensor) -> Tensor:
        return vectors.to(dtype).to(wide).repeat_interleave(group, 1)

    with torch.autocast(device.type, enabled=False):
        scaled = factor * queries.to(dtype).to(wide)
        alone = (scaled * per_head(own.keys)).sum(-1, keepdim=True)  # [B, H, Q, 1]
        key = torch.arange(keys, device=device)
        itself = key == key[keys - size :, None]  # [Q, K]
        scores = torch.where(itself, alone, scaled @ per_head(past.keys).mT)
        weights = dropout(softmax(_masked(scores, mask), -1), drop)
        self_weights = weights.diagonal(keys - size, -2, -1)[..., None]
        others = weights.masked_fill(itself, 0.0) @ per_head(past.values)
        return (others + self_weights * per_head(own.values)).to(dtype)


def _masked(scores: Tensor, mask: Mask) -> Tensor:
    """Applies the mask or the bias to scores `[B, H, Q, K]`."""
    matrix = mask.as_matrix(scores.shape[2], scores.shape[3], scores.device)
    if matrix is None:
        return scores
    if matrix.dtype == torch.bool:
        return scores.masked_fill(~matrix, -math.inf)
    return scores + matrix
