"""PromptStem: embeds a text that asks for one answer."""

from __future__ import annotations

from torch import Tensor, nn

from components.data import PromptBatch, PromptSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Embedding, EmbeddingFactory
from components.stems.kinds import require


class PromptStem(Stem):
    """Looks up a learned vector for each token; the last position predicts the answer.

    Args:
        dim: Width of the states.
        spec: Facts of the texts.
        dropout: Probability to drop a component of a vector, while training.
        embedding: What looks up the vectors; by default they start at random.

    Raises:
        ValueError: If the data are not prompts.
    """

    def __init__(
        self,
        dim: int,
        spec: PromptSpec,
        dropout: float = 0.0,
        embedding: EmbeddingFactory = Embedding,
    ) -> None:
        super().__init__()
        self.embedding = embedding(size=require(PromptSpec, spec).size, dim=dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: PromptBatch) -> Embedded:
        """Embeds texts `[B, S]` as states `[B, S, D]`, of which padding is masked."""
        states: Tensor = self.dropout(self.embedding(batch.tokens))
        return Embedded(states, batch.mask)

    def readout(self, hidden: Tensor) -> Tensor:
        """Selects the hidden state of the last position, `[B, S, D]` to `[B, 1, D]`."""
        return hidden[:, -1:]
