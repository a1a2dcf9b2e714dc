"""FeatureStem: embeds a vector of features as one state."""

from __future__ import annotations

from torch import nn

from components.data import DensityBatch, DensitySpec
from components.interfaces import Embedded, Stem
from components.stems.kinds import require
from components.stems.scales import Asinh, ScaleFactory


class FeatureStem(Stem):
    """Maps each feature vector to a sequence of one state, which predicts the outcome.

    The linear maps start as torch's own do, with biases, so that a following norm cannot hide how
    large a single feature is.

    Args:
        dim: Width of the state.
        spec: Facts of the regression problem.
        hidden: Width of a layer with a GELU in between; None for one linear map.
        scale: What features pass first; asinh keeps outliers in bounds.

    Raises:
        ValueError: If the data are not feature vectors.
    """

    def __init__(
        self,
        dim: int,
        spec: DensitySpec,
        hidden: int | None = None,
        scale: ScaleFactory = Asinh,
    ) -> None:
        super().__init__()
        features = require(DensitySpec, spec).features
        self.scale = scale()
        self.embedding: nn.Module = nn.Linear(features, dim)
        if hidden is not None:
            self.embedding = nn.Sequential(
                nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, dim)
            )

    def forward(self, batch: DensityBatch) -> Embedded:
        """Embeds features `[B, F]` as states `[B, 1, D]`."""
        dtype = next(self.embedding.parameters()).dtype
        features = self.scale(batch.features).to(dtype)
        return Embedded(self.embedding(features).to(dtype).unsqueeze(1))
