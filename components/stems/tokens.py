"""TokenStem: embeds text token by token."""

from __future__ import annotations

from torch import Tensor, nn

from components.data import TokenBatch, TokenSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Embedding, EmbeddingFactory
from components.stems.kinds import require


class TokenStem(Stem):
    """Looks up a learned vector for each token; every position predicts the token that follows.

    Args:
        dim: Width of the states.
        spec: Facts of the corpus.
        dropout: Probability to drop a component of a vector, while training.
        embedding: What looks up the vectors; by default they start at random.

    Raises:
        ValueError: If the data are not text.
    """

    def __init__(
        self,
        dim: int,
        spec: TokenSpec,
        dropout: float = 0.0,
        embedding: EmbeddingFactory = Embedding,
    ) -> None:
        super().__init__()
        self.embedding = embedding(size=require(TokenSpec, spec).support.size, dim=dim)
        self.dropout = nn.Dropout(dropout)

    def lookup(self) -> nn.Embedding:
        """Returns what looks up the vectors."""
        return self.embedding

    def forward(self, batch: TokenBatch) -> Embedded:
        """Embeds windows `[B, T]` as states `[B, T, D]`."""
        states: Tensor = self.dropout(self.embedding(batch.tokens))
        return Embedded(states)
