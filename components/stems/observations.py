"""Observation encoders: what a decision maker sees, as one vector per time step."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

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
    """Maps an image by three convolutions and a linear map, made for 84 x 84 pixels of Atari.

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
