"""SequenceStem: embeds the features of each position of a sequence as a state."""

from __future__ import annotations

from components.data import SequenceBatch, SequenceSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Linear
from components.stems.kinds import require


class SequenceStem(Stem):
    """Maps the features of each position to a state, which predicts the outcome there.

    A position reads its own features as they are, and those before it through the backbone. The
    linear map starts as the rest of a Transformer does, without a constant.

    Args:
        dim: Width of the states.
        spec: Facts of the sequences.

    Raises:
        ValueError: If the data are no sequences of feature vectors.
    """

    def __init__(self, dim: int, spec: SequenceSpec) -> None:
        super().__init__()
        self.embedding = Linear(require(SequenceSpec, spec).features, dim)

    def forward(self, batch: SequenceBatch) -> Embedded:
        """Embeds features `[B, T, F]` as states `[B, T, D]`, as precise as the parameters are."""
        dtype = self.embedding.weight.dtype
        return Embedded(self.embedding(batch.features.to(dtype)).to(dtype))
