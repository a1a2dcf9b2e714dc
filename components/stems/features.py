"""FeatureStem: embeds vectors of features, after a scale of choice."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from torch import Tensor, nn

from components.data import DensityBatch, DensitySpec, SequenceBatch, SequenceSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Linear, require_positive
from components.stems.specs import require


class ScaleFactory(Protocol):
    """Builds a scale, which maps features `[..., F]` one by one."""

    def __call__(self) -> nn.Module:
        """Builds it."""
        ...


class Asinh(nn.Module):
    """Applies asinh: the identity near zero, a logarithm for outliers."""

    def forward(self, features: Tensor) -> Tensor:
        """Maps features `[..., F]`."""
        return features.asinh()


class Unscaled(nn.Module):
    """Leaves features as they are."""

    def forward(self, features: Tensor) -> Tensor:
        """Returns features `[..., F]`."""
        return features


class CellIndex(nn.Module):
    """Rounds features to equal cells of a range: returns the index of the cell as a number.

    Values beyond the range belong to the end cells.

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


class FeatureStem(Stem):
    """Maps each vector of features to a state, which predicts the outcome that belongs to it.

    A single vector is a sequence of one state. In a sequence a position reads its own features,
    and earlier ones through the backbone.

    Args:
        dim: Width of the states.
        spec: Facts of the regression problem, or of the sequences.
        hidden: Width of a layer with a GELU in between; None for one linear map.
        scale: Makes the scale of the features in front of the first map; asinh bounds outliers.
        std: Standard deviation of the initial entries of matrices, as in a Transformer, with
            biases of zero; None for the initialization of torch, whose random biases keep a norm
            behind the map from hiding how large a single feature is.

    Raises:
        ValueError: If the data are not vectors of features.
    """

    def __init__(
        self,
        dim: int,
        spec: DensitySpec | SequenceSpec,
        hidden: int | None = None,
        scale: ScaleFactory = Asinh,
        std: float | None = None,
    ) -> None:
        super().__init__()
        require(spec, DensitySpec, SequenceSpec)
        self.scale = scale()
        linear = nn.Linear if std is None else partial(Linear, std=std)
        self.embedding: nn.Module = (
            linear(spec.features, dim)
            if hidden is None
            else nn.Sequential(linear(spec.features, hidden), nn.GELU(), linear(hidden, dim))
        )

    def forward(self, batch: DensityBatch | SequenceBatch) -> Embedded:
        """Embeds features `[B, F]` as states `[B, 1, D]`, `[B, T, F]` as `[B, T, D]`.

        States are in the precision of the parameters.
        """
        dtype = next(self.embedding.parameters()).dtype
        states: Tensor = self.embedding(self.scale(batch.features).to(dtype)).to(dtype)
        return Embedded(states if states.ndim == 3 else states.unsqueeze(1))
