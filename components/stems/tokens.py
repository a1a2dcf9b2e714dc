"""TokenStem: embeds text token by token."""

from __future__ import annotations

from torch import Tensor, nn

from components.data import PromptBatch, PromptSpec, TokenBatch, TokenSpec
from components.interfaces import Embedded, Stem
from components.layers.linear import Embedding, EmbeddingFactory
from components.stems.specs import require


class TokenStem(Stem):
    """Looks up a learned vector for each token of a text.

    Of a corpus every position predicts the token that follows; of prompts, which may be padded,
    the last position predicts the answer. Where the spec has a `separator`, documents are marked:
    the separator is the first token of the document that follows it.

    Args:
        dim: Width of the states.
        spec: Facts of the corpus or of the prompts.
        dropout: Probability to drop a component of a vector, while training.
        embedding: Makes the table of vectors; by default they start at random.
        scale: Factor of the vectors; √D in Gemma, whose read-out is the table without it.

    Raises:
        ValueError: If the data are not text.
    """

    def __init__(
        self,
        dim: int,
        spec: TokenSpec | PromptSpec,
        dropout: float = 0.0,
        embedding: EmbeddingFactory = Embedding,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        require(spec, TokenSpec, PromptSpec)
        self.answers = isinstance(spec, PromptSpec)
        self.separator = None if isinstance(spec, PromptSpec) else spec.separator
        self.separates = self.separator is not None
        size = spec.size if isinstance(spec, PromptSpec) else spec.support.size
        self.embedding = embedding(size=size, dim=dim)
        self.dropout = nn.Dropout(dropout)
        self.scale = scale

    def lookup(self) -> nn.Embedding:
        """Returns the table of vectors; see `Stem.lookup`."""
        return super().lookup() if self.answers else self.embedding

    def forward(self, batch: TokenBatch | PromptBatch) -> Embedded:
        """Embeds texts `[B, S]` as states `[B, S, D]`, of which padding is masked."""
        vectors = self.embedding(batch.tokens)
        states: Tensor = self.dropout(vectors if self.scale == 1 else vectors * self.scale)
        if isinstance(batch, PromptBatch):
            return Embedded(states, batch.mask)
        if self.separator is None:
            return Embedded(states)
        return Embedded(states, documents=(batch.tokens == self.separator).cumsum(1))

    def readout(self, hidden: Tensor) -> Tensor:
        """Selects every position of a corpus, the last one of prompts, `[B, 1, D]`."""
        return hidden[:, -1:] if self.answers else hidden
