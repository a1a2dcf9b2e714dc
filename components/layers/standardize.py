"""Standardize: brings measured quantities to zero mean and unit spread, and tames outliers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Standardize(nn.Module):
    r"""Subtracts a known mean, divides by a known spread and squashes.

    .. math:: y = \mathrm{asinh}((x - \mathrm{mean}) / \mathrm{std})

    The squash is the identity near zero and a logarithm far out: an outlier of a million spreads
    becomes 14.5 and keeps its order. Components that share one mean and one spread, as the pixels
    of an image do, have a known range and no outliers: they are not squashed. Mean and spread are
    facts of the data, which its spec holds; they are no part of a state dictionary.

    Args:
        mean: Mean of each component, or one that all share, as the pixels of an image do.
        std: Spread of each component, positive, or one that all share.
        shape: Shape of a value.

    Raises:
        ValueError: If there are neither as many means and spreads as components, nor one of each.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], shape: Sequence[int]) -> None:
        super().__init__()
        size = torch.Size(shape).numel()
        if len(mean) != len(std) or len(mean) not in (1, size):
            raise ValueError(
                f"Standardize needs one mean and one std for each of {size} components, or one of "
                f"each for all, got {len(mean)} and {len(std)}; compute both over flat values."
            )
        self.shared = len(mean) < size
        self.shape = (1,) * len(shape) if self.shared else tuple(shape)
        self.facts = tuple(mean), tuple(std)
        self.register_buffer("mean", torch.empty(len(mean)), persistent=False)
        self.register_buffer("std", torch.empty(len(mean)), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Fills in the facts, also after the module was made without memory."""
        for buffer, fact in zip((self.mean, self.std), self.facts, strict=True):
            buffer.copy_(torch.tensor(fact))

    def forward(self, values: Tensor) -> Tensor:
        """Standardizes `[..., *shape]`."""
        mean, std = self.mean.view(self.shape), self.std.view(self.shape)
        scaled = (values - mean) / std
        return scaled if self.shared else scaled.asinh()
