"""Keys and values of positions, and how queries read them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from components.layers.masks import Mask


class KeyValue(NamedTuple):
    """Keys and values of positions."""

    keys: Tensor  # [B, G, K, E]
    values: Tensor  # [B, G, K, E]

    def attend(
        self,
        queries: Tensor,
        mask: Mask,
        dropout: float,
        scale: float | None,
        cap: float | None = None,
    ) -> Tensor:
        """Averages the values for queries `[B, H, Q, E]`, see `ScaledDotProduct`."""
        if cap is not None:
            return self._capped(queries, mask, dropout, scale, cap)
        return scaled_dot_product_attention(
            queries,
            self.keys,
            self.values,
            attn_mask=mask.matrix,
            dropout_p=dropout,
            is_causal=mask.causal,
            scale=scale,
            enable_gqa=queries.shape[1] != self.keys.shape[1],
        )

    def _capped(
        self, queries: Tensor, mask: Mask, dropout: float, scale: float | None, cap: float
    ) -> Tensor:
        """Does the same with scores between -cap and cap, of which torch has no fused kernel."""
        batch, heads, length, width = queries.shape
        groups, keys = self.keys.shape[1:3]
        grouped = (queries * _factor(scale, width)).reshape(batch, groups, -1, width)
        scores = (grouped @ self.keys.mT).view(batch, heads, length, keys)
        weights = _softmax(scores, mask.as_matrix(length, keys, scores.device), cap)
        weights = torch.dropout(weights, dropout, dropout > 0)
        return (weights.reshape(batch, groups, -1, keys) @ self.values).view_as(queries)


class BranchedKeyValue(KeyValue):
    """Keys and values behind earlier ones that several examples in a row share."""

    shared: tuple[Tensor, Tensor]  # [B / samples, G, P, E] each, of the first P positions

    @classmethod
    def of(cls, shared: tuple[Tensor, Tensor], own: tuple[Tensor, Tensor]) -> BranchedKeyValue:
        """Puts `own`, `[B, G, K - P, E]` each, behind what is shared."""
        made = cls(*own)
        made.shared = shared
        return made

    def attend(
        self,
        queries: Tensor,
        mask: Mask,
        dropout: float,
        scale: float | None,
        cap: float | None = None,
    ) -> Tensor:
        """Averages the values for queries `[B, H, Q, E]`, see `ScaledDotProduct`.

        The queries of all examples that share keys read them in one product of matrices. Copies
        of the keys would be read once for each example, which takes most of the time of sampling.
        """
        batch, heads, length, width = queries.shape
        keys, values = self.shared
        size, groups, first, _ = keys.shape
        samples, rows = batch // size, heads // groups * length

        def beside(tensor: Tensor) -> Tensor:  # [B, ...] to [B / samples, G, samples, rows, W]
            return tensor.reshape(size, samples, groups, rows, tensor.shape[-1]).transpose(1, 2)

        scaled = queries * _factor(scale, width)
        alone = scaled.reshape(batch, groups, rows, width) @ self.keys.mT
        common = beside(scaled).flatten(2, 3) @ keys.mT
        scores = torch.cat((common.view(size, groups, samples, rows, first), beside(alone)), -1)
        seen = mask.as_matrix(length, scores.shape[-1], scores.device)
        if seen is not None:  # [B or 1, H or 1, Q, K]
            split = (groups, heads // groups) if seen.shape[1] > 1 else (1, 1)
            seen = seen.expand(batch, -1, -1, -1)
            seen = seen.view(size, samples, *split, *seen.shape[2:]).transpose(1, 2)
        each = (size, groups, samples, heads // groups, length, scores.shape[-1])
        weights = _softmax(scores.view(each), seen, cap).flatten(3, 4)
        weights = torch.dropout(weights, dropout, dropout > 0)
        mine = weights[..., first:].transpose(1, 2).flatten(0, 1) @ self.values
        means = weights[..., :first].flatten(2, 3) @ values
        means = means.view(size, groups, samples, rows, width).transpose(1, 2)
        return means.reshape_as(queries) + mine.view_as(queries)


def _factor(scale: float | None, width: int) -> float:
    return width**-0.5 if scale is None else scale


def _softmax(scores: Tensor, mask: Tensor | None, cap: float | None) -> Tensor:
    """Turns scores `[..., Q, K]` into weights, computed in at least float32."""
    if cap is not None:
        scores = cap * (scores / cap).tanh()
    if mask is not None:
        if mask.dtype == torch.bool:  # a sum broadcasts it five times as fast as masked_fill does
            mask = torch.where(mask, scores.new_zeros(()), -torch.inf)
        scores = scores + mask
    exact = torch.promote_types(scores.dtype, torch.float32)
    return scores.softmax(-1, dtype=exact).to(scores.dtype)
