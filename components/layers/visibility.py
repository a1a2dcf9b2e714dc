"""Visibility: which positions a position may attend to."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Visible(NamedTuple):
    """Which keys each query sees: by a mask, by the causal rule alone, or else all of them.

    A mask says by booleans whether a query sees a key, or by numbers how much better they match,
    -inf where it does not see it.
    """

    mask: Tensor | None = None  # [B or 1, H or 1, Q, K]
    causal: bool = False  # query q sees keys 0 ... q; only if there are as many queries as keys

    def matrix(self, queries: int, keys: int, device: torch.device) -> Tensor | None:
        """Writes the rule down as a mask `[B or 1, H or 1, Q, K]`; None if all is seen."""
        if not self.causal:
            return self.mask
        return torch.ones(queries, keys, dtype=torch.bool, device=device).tril()[None, None]


def visible(
    queries: int, keys: int, prefix: int, key_mask: Tensor | None, device: torch.device
) -> Visible:
    """Says what the last `queries` of `keys` positions see: the past, and a common prefix.

    A mask is built only where the causal rule, or none, does not say it all, because kernels are
    faster without. A position always sees itself, so padding attends to itself instead of to
    nothing, which would be 0/0.

    Args:
        queries: Number of positions that ask, the last ones.
        keys: Number of positions in all.
        prefix: Number of positions, the first ones, that every position sees, also those of the
            prefix.
        key_mask: `[B, keys]` bool, False on padding; None if nothing is padded.
        device: Where to build a mask.
    """
    if key_mask is None and (queries == 1 or prefix == keys):
        return Visible()
    if key_mask is None and queries == keys and prefix == 0:
        return Visible(causal=True)
    key = torch.arange(keys, device=device)
    query = key[keys - queries :, None]
    mask = (key <= query) | (key < prefix)  # [Q, K]
    if key_mask is None:
        return Visible(mask[None, None])
    return Visible(mask & key_mask[:, None, None] | (key == query))


def places(queries: int, keys: int, key_mask: Tensor | None, device: torch.device) -> Tensor:
    """Numbers the last `queries` of `keys` positions without padding: `[B or 1, queries]`."""
    if key_mask is None:
        return torch.arange(keys - queries, keys, device=device)[None]
    return (key_mask.cumsum(1) - 1).clamp(min=0)[:, keys - queries :]
