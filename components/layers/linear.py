"""Linear maps and embeddings with normal initial weights of given deviation, as in GPT-2."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor, nn
from torch.nn.functional import linear

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


class TiedLinear(nn.Module):
    """Multiplies by the vectors that an embedding looks up: one matrix at both ends of a model.

    The embedding stays the owner. Where parameters are sharded it must have looked up something
    before, so that its vectors are gathered.

    Args:
        table: The embedding, one vector for each number that is given.
        bias: A learned constant to add; None for none.

    Source: Press and Wolf, "Using the Output Embedding to Improve Language Models"
        (arXiv:1608.05859).
    """

    def __init__(self, table: nn.Embedding, bias: nn.Parameter | None) -> None:
        super().__init__()
        self._tables = (table,)  # in a tuple, which does not make it a part of this module
        self.bias = bias

    @property
    def weight(self) -> Tensor:
        """The matrix `[size, dim]` that both share."""
        return self._tables[0].weight

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., size]`."""
        return linear(hidden, self.weight, self.bias)


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
