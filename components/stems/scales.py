"""Scales: how raw features are read before the first linear map."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from components.layers.sizes import require_positive


class ScaleFactory(Protocol):
    """Builds a scale, which maps features `[..., F]` one by one."""

    def __call__(self) -> nn.Module:
        """Builds it."""
        ...


class Asinh(nn.Module):
    """Leaves small numbers as they are and keeps outliers in bounds."""

    def forward(self, features: Tensor) -> Tensor:
        """Maps features `[..., F]`."""
        return features.asinh()


class Unscaled(nn.Module):
    """Leaves features as they are."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns features `[..., F]`."""
        return features


class CellIndex(nn.Module):
    """Rounds features to equal cells of a range, and gives the index of the cell as a number.

    What lies beyond the range goes to the cell at its end.

    Args:
        bins: Number of cells, at least 1; indices run from 0 to bins - 1.
        low: Lower end of the range of all features.
        high: Upper end of the range.

    Raises:
        ValueError: If there is no cell, or the ends are not in order.
    """

    def __init__(self, bins: int = 50, low: float = -1.0, high: float = 1.0) -> None:
        super().__init__()
        require_positive("CellIndex", bins=bins)
        if not low < high:
            raise ValueError(f"CellIndex: low={low} must be less than high={high}.")
        self.bins, self.low, self.high = bins, low, high

    def forward(self, features: Tensor) -> Tensor:
        """Maps features `[..., F]` to whole numbers in their dtype."""
        cells = (features - self.low) * (self.bins / (self.high - self.low))
        return cells.floor().clamp(0, self.bins - 1)
