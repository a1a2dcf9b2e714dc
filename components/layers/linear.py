"""Linear maps and embeddings that start from a normal law of given width, as GPT-2 does."""

from __future__ import annotations

import math
from typing import Protocol

from torch import nn

INITIAL_STD = 0.02  # Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2)


def residual_std(writers: int) -> float:
    """Returns the initial spread of each of `writers` maps that add to one residual stream.

    Source: Radford et al. (GPT-2), section 2.3, on the weights of residual layers.
    """
    return INITIAL_STD / math.sqrt(writers)


class Linear(nn.Linear):
    """Multiplies by a matrix whose entries start as independent normals; the bias starts at zero.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias: Whether to add a learned constant.
        std: Standard deviation of the initial entries, at least 0.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, std: float = INITIAL_STD
    ) -> None:
        self.std = std  # before the parent's constructor, which initializes
        super().__init__(in_features, out_features, bias)

    def reset_parameters(self) -> None:
        """Draws initial parameters."""
        nn.init.normal_(self.weight, std=self.std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


class ResidualLinear(Linear):
    """A linear map whose result is added to a residual stream, as the last one of each part is.

    It is a class of its own so that what initializes a whole model knows it from the others.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias: Whether to add a learned constant.
        std: Standard deviation of the initial entries, at least 0.
    """


class EmbeddingFactory(Protocol):
    """Builds what looks up a vector for each token."""

    def __call__(self, *, size: int, dim: int) -> nn.Embedding:
        """Builds it for `size` tokens and vectors of width `dim`."""


class Embedding(nn.Embedding):
    """Looks up learned vectors whose entries start as independent normals.

    Args:
        size: Number of vectors.
        dim: Width of a vector.
        std: Standard deviation of the initial entries, at least 0.
    """

    def __init__(self, size: int, dim: int, std: float = INITIAL_STD) -> None:
        self.std = std  # before the parent's constructor, which initializes
        super().__init__(size, dim)

    def reset_parameters(self) -> None:
        """Draws initial parameters."""
        nn.init.normal_(self.weight, std=self.std)
