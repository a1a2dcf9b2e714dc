"""Linear maps and embeddings: how they start, how wide they may be, and in what precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

INITIAL_STD = 0.02  # Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2)
JOINED_INPUTS = 512  # from which on one product is faster than two, copies of matrices included
PRESET_GAIN = 0.01  # of weights: enough to tell inputs apart, too little to move the outputs


def residual_std(writers: int) -> float:
    """Returns the initial standard deviation of `writers` maps that add to one residual stream.

    Source: Radford et al. (GPT-2), section 2.3, on the weights of residual layers.
    """
    return INITIAL_STD / math.sqrt(writers)


class Linear(nn.Linear):
    """A linear map with normal initial weights and a bias of zero.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias: Whether there is a bias.
        std: Standard deviation of the initial entries, at least 0.
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, std: float = INITIAL_STD
    ) -> None:
        self.std = std  # before the parent's constructor, which initializes
        super().__init__(in_features, out_features, bias)

    def reset_parameters(self) -> None:
        """Draws the initial parameters."""
        nn.init.normal_(self.weight, std=self.std)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def one_product(inputs: Tensor, *maps: nn.Module) -> tuple[Tensor, ...] | None:
    """Applies several linear maps to the same inputs, by one product of matrices.

    Both passes read the inputs once then. The matrices are copied, which is worth it for many
    inputs only.

    Args:
        inputs: `[..., dim]`.
        maps: The maps.

    Returns:
        The result of each, `[..., width]`; None where they have to be called one by one, as there
        are few inputs, or they are not plain: adapted, parametrized or observed by hooks.
    """
    if inputs.shape[:-1].numel() < JOINED_INPUTS or not all(map(_is_plain, maps)):
        return None
    weights, biases = zip(*((each.weight, each.bias) for each in maps), strict=True)
    bias = None if biases[0] is None else torch.cat(biases)
    product = linear(inputs, torch.cat(weights), bias)
    parts: tuple[Tensor, ...] = torch.split(product, [len(weight) for weight in weights], -1)
    return parts


def _is_plain(module: nn.Module) -> bool:
    return type(module) is Linear and not (module._forward_hooks or module._forward_pre_hooks)


class ResidualLinear(Linear):
    """A linear map whose result is added to a residual stream: the last one of each part.

    It is a class of its own so that initializations of a whole model recognize it.

    Args:
        in_features: Width of the input.
        out_features: Width of the output.
        bias: Whether there is a bias.
        std: Standard deviation of the initial entries, at least 0.
    """


class PresetLinear(nn.Linear):
    """Multiplies by a matrix of small entries, so that outputs start close to given ones.

    A head whose outputs are parameters of a distribution so starts at a distribution that makes
    sense.

    Args:
        dim: Number of inputs.
        outputs: Initial outputs, one value each.
    """

    def __init__(self, dim: int, outputs: Sequence[float]) -> None:
        self.outputs = tuple(outputs)  # before the parameters: making them calls reset_parameters
        super().__init__(dim, len(outputs))

    def reset_parameters(self) -> None:
        """Scales the usual weights down and sets the bias to the outputs."""
        super().reset_parameters()
        with torch.no_grad():
            self.weight.mul_(PRESET_GAIN)
            self.bias.copy_(self.bias.new_tensor(self.outputs))


class EmbeddingFactory(Protocol):
    """Builds the embedding of tokens."""

    def __call__(self, *, size: int, dim: int) -> nn.Embedding:
        """Builds it for `size` tokens and vectors of width `dim`."""


class Embedding(nn.Embedding):
    """An embedding with normal initial entries.

    Args:
        size: Number of vectors.
        dim: Width of a vector.
        std: Standard deviation of the initial entries, at least 0.
    """

    def __init__(self, size: int, dim: int, std: float = INITIAL_STD) -> None:
        self.std = std  # before the parent's constructor, which initializes
        super().__init__(size, dim)

    def reset_parameters(self) -> None:
        """Draws the initial parameters."""
        nn.init.normal_(self.weight, std=self.std)


def require_positive(owner: str, **sizes: int) -> None:
    """Checks that widths and depths are at least 1.

    Args:
        owner: Whose sizes they are, for the message.
        sizes: The sizes, by the names of their options.

    Raises:
        ValueError: If one is smaller.

    Example:
        >>> require_positive("Decoder", dim=64, depth=2)
    """
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{owner}: {name}={size} is too small; use at least 1.")


def product_dtype(vectors: Tensor) -> torch.dtype:
    """Returns the type of a product with `vectors`: autocast decides, but leaves float64 alone."""
    device = vectors.device.type
    if torch.is_autocast_enabled(device) and vectors.dtype != torch.float64:
        return torch.get_autocast_dtype(device)
    return vectors.dtype
