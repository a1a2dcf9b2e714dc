"""Observation encoders and their input scaling: one vector per time step of an episode."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from components.layers.linear import Linear


class ObservationEncoder(nn.Module, ABC):
    """Maps standardized observations to vectors."""

    @abstractmethod
    def forward(self, observation: Tensor) -> Tensor:
        """Maps `[B, T, *shape]` to `[B, T, dim]`."""


class ObservationFactory(Protocol):
    """Builds an encoder of observations."""

    def __call__(self, *, dim: int, shape: tuple[int, ...]) -> ObservationEncoder:
        """Builds it for observations of a shape and vectors of width `dim`."""


class FlatObservation(ObservationEncoder):
    """Maps an observation linearly, whatever its shape.

    Args:
        dim: Width of the vectors.
        shape: Shape of one observation.
    """

    def __init__(self, dim: int, shape: Sequence[int]) -> None:
        super().__init__()
        self.projection = Linear(math.prod(shape), dim)

    def forward(self, observation: Tensor) -> Tensor:
        """Maps `[B, T, *shape]` to `[B, T, dim]`."""
        vectors: Tensor = self.projection(observation.flatten(2))
        return vectors


class ConvObservation(ObservationEncoder):
    """Maps an image by three convolutions and a linear map, for the 84 x 84 pixels of Atari.

    Args:
        dim: Width of the vectors.
        shape: Channels (stacked frames), height and width of an image, both at least 36 pixels.

    Raises:
        ValueError: If observations are not images of that size.

    Source: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518
    (2015), extended data table 1.
    """

    def __init__(self, dim: int, shape: Sequence[int]) -> None:
        super().__init__()
        if len(shape) != 3 or min(shape[1:]) < 36:
            raise ValueError(
                f"ConvObservation needs images [channels, height, width] of at least 36 x 36 "
                f"pixels, got observations of shape {tuple(shape)}; choose FlatObservation."
            )
        channels, height, width = shape
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3, stride=1),
            nn.ReLU(),
        )
        self.projection = Linear(64 * _extent(height) * _extent(width), dim)

    def forward(self, observation: Tensor) -> Tensor:
        """Maps `[B, T, C, H, W]` to `[B, T, dim]`."""
        features = self.convolutions(observation.flatten(0, 1)).flatten(1)
        vectors: Tensor = self.projection(features).unflatten(0, observation.shape[:2])
        return vectors


def _extent(pixels: int) -> int:
    for kernel, stride in ((8, 4), (4, 2), (3, 1)):
        pixels = (pixels - kernel) // stride + 1
    return pixels


class Standardize(nn.Module):
    r"""Subtracts a known mean, divides by a known standard deviation and applies asinh.

    .. math:: y = \mathrm{asinh}((x - \mathrm{mean}) / \mathrm{std})

    Asinh is the identity near zero and a logarithm far out: an outlier of a million standard
    deviations becomes 14.5. Components that share one mean and one standard deviation, as the
    pixels of an image do, have a known range and no outliers: asinh is not applied to them. Mean
    and standard deviation are facts of the data, which the spec holds; they are not in the state
    dictionary.

    Args:
        mean: Mean of each component, or one that all share, as the pixels of an image do.
        std: Standard deviation of each component, positive, or one that all share.
        shape: Shape of a value.

    Raises:
        ValueError: If there are neither as many means and deviations as components, nor one of
            each.
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
        """Sets the buffers, also after the module was made on the meta device."""
        for buffer, fact in zip((self.mean, self.std), self.facts, strict=True):
            buffer.copy_(torch.tensor(fact))

    def forward(self, values: Tensor) -> Tensor:
        """Standardizes `[..., *shape]`."""
        mean, std = self.mean.view(self.shape), self.std.view(self.shape)
        scaled = (values - mean) / std
        return scaled if self.shared else scaled.asinh()
