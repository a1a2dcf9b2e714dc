"""What token streams come from: corpora of any kind, and those of text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from framework.data.tokens.streams import Streams, tokenized
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer


class Corpus(ABC):
    """Where token streams come from."""

    @abstractmethod
    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Prepares the streams of all splits; with `None` the corpus chooses the tokenizer."""


class TextCorpus(Corpus):
    """Documents of three splits; by default encoded in a byte-pair vocabulary of their own."""

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Encodes the documents.

        Raises:
            ValueError: If a split holds no text, or cannot be read.
        """
        return tokenized(self, tokenizer or BytePairTokenizer())

    @abstractmethod
    def documents(self, split: str) -> Iterable[str]:
        """Reads the documents of "train", "val" or "test"."""

    @abstractmethod
    def digest(self, split: str) -> str:
        """Identifies the documents of a split by their content."""

    def called(self, split: str) -> str:
        """Names the documents of a split, as the subject of an error."""
        return f"{type(self).__name__}: the {split} split"
