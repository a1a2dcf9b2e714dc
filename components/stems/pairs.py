"""PairStem: embeds a text that is read, and one that is predicted from it."""

from __future__ import annotations

from torch import nn

from components.data import PairBatch, TokenBatch, TokenSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Embedding, EmbeddingFactory
from components.stems.specs import require


class PairStem(Stem):
    """Looks up a vector for each token of two texts, one as context and one as states, as in T5.

    Both share the table. It serves pairs, such as sentences and their translations, to a backbone
    that reads a context, such as `EncoderDecoder`.

    Args:
        dim: Width of the states.
        spec: Facts of the texts, which share a vocabulary.
        dropout: Probability to drop a component of a vector, while training.
        embedding: Makes the table of vectors; by default they start at random.

    Raises:
        ValueError: If the data are not text.

    Source: Raffel et al., "Exploring the Limits of Transfer Learning" (T5, arXiv:1910.10683),
    section 2.1.
    """

    def __init__(
        self,
        dim: int,
        spec: TokenSpec,
        dropout: float = 0.0,
        embedding: EmbeddingFactory = Embedding,
    ) -> None:
        super().__init__()
        require(spec, TokenSpec)
        self.embedding = embedding(size=spec.support.size, dim=dim)
        self.dropout = nn.Dropout(dropout)

    def lookup(self) -> nn.Embedding:
        """Returns the table of vectors; see `Stem.lookup`."""
        return self.embedding

    def forward(self, batch: PairBatch | TokenBatch) -> Embedded:
        """Embeds texts `[B, S]` as context and `[B, T]` as states; one text alone as states."""
        states = self.dropout(self.embedding(batch.tokens))
        if isinstance(batch, TokenBatch):
            return Embedded(states)
        context = self.dropout(self.embedding(batch.source))
        return Embedded(states, context=context, context_mask=batch.mask)
