"""Tokenizers: convert text to token ids, and back.

A `Tokenizer` is an option of an experiment; fitted to a training text it yields the `Vocabulary`
that encodes and decodes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path

from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, pre_tokenizers, trainers

from framework.data.cache import cached
from framework.data.tokens.vocabularies import Bytes, JsonVocabulary, Vocabulary

END = "<|endoftext|>"  # precedes every document; the name is GPT-2's


class Tokenizer(ABC):
    """Makes a vocabulary for a text."""

    @abstractmethod
    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Makes the vocabulary for a training text.

        Args:
            digest: Identifies the text, so that nothing is fitted twice.
            documents: Reads the text; called only if needed.
        """

    def known(self) -> Vocabulary | None:
        """Returns the vocabulary where it depends on no text; None here."""
        return None

    def require(self, vocabulary: Vocabulary) -> None:
        """Checks that a vocabulary, which a model was trained with, may stand in for its own.

        Raises:
            ValueError: If it is one that this tokenizer does not make.
        """
        own = self.known()
        if own is not None and own.digest() != vocabulary.digest():
            raise ValueError(
                f"{type(self).__name__}: this is not the tokenizer that the model was trained "
                f"with, which has {vocabulary.size} tokens and is in the checkpoint; drop "
                "tokenizer to use that."
            )


class KnownVocabulary(Tokenizer):
    """Uses a vocabulary that was fitted to another text.

    Args:
        vocabulary: The vocabulary.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns the vocabulary."""
        return self.vocabulary

    def known(self) -> Vocabulary:
        """Returns the vocabulary."""
        return self.vocabulary


class ByteTokenizer(Tokenizer, Bytes):
    """Encodes text as its UTF-8 bytes: 256 tokens, and one between documents; no training."""

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns itself: bytes suit every text."""
        return self

    def known(self) -> Vocabulary:
        """Returns itself: bytes suit every text."""
        return self


class FileTokenizer(Tokenizer, JsonVocabulary):
    """Uses a `tokenizer.json` of the `tokenizers` library, as published with language models.

    Args:
        path: The file.
        end: Name of the token that ends a document, and stands between two of them.
        begin: Name of another token that begins a document, such as '<s>' where '</s>' ends it;
            both then stand between two of them. The token that ends one if not given.

    Raises:
        ValueError: If the file is missing or is not a tokenizer, or has no such token.
    """

    def __init__(self, path: str, end: str = END, begin: str | None = None) -> None:
        engine = read_engine(path, "FileTokenizer")
        for option, name in (("end", end), ("begin", begin)):
            if name is not None and engine.token_to_id(name) is None:
                raise ValueError(
                    f"FileTokenizer: the tokenizer {path!r} has no token {option}={name!r}; "
                    f"set {option} to the token that {option}s a document, such as '</s>'."
                )
        super().__init__(engine, end, begin=begin)
        self.path = Path(path)

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns itself: the vocabulary is in the file."""
        return self

    def known(self) -> Vocabulary:
        """Returns itself: the vocabulary is in the file."""
        return self


def read_engine(path: str, owner: str) -> Engine:
    """Reads a file of the `tokenizers` library.

    Args:
        path: The file.
        owner: Who needs it, for messages.

    Raises:
        ValueError: If it is missing or is not a tokenizer.
    """
    if not Path(path).is_file():
        raise ValueError(f"{owner}: there is no file path={path!r}; give a tokenizer.json.")
    try:
        return Engine.from_file(path)
    except Exception as error:  # the library raises a bare Exception
        raise ValueError(
            f"{owner}: path={path!r} is not a file of the tokenizers library; "
            f"give a tokenizer.json ({error})."
        ) from error


class BytePairTokenizer(Tokenizer):
    """Trains a byte-level byte-pair encoding on the training text, and keeps it in the cache.

    Args:
        vocab_size: Number of tokens, at least 257: the bytes and the token between documents.

    Raises:
        ValueError: If `vocab_size` is too small.

    Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
        (arXiv:1508.07909); over bytes as in Radford et al., "Language Models are Unsupervised
        Multitask Learners" (2019), section 2.2.
    """

    def __init__(self, vocab_size: int = 4096) -> None:
        if vocab_size < Bytes.size:
            raise ValueError(
                f"BytePairTokenizer: vocab_size={vocab_size} leaves no room for all bytes; "
                f"use at least {Bytes.size}, or ByteTokenizer."
            )
        self.vocab_size = vocab_size

    def require(self, vocabulary: Vocabulary) -> None:
        """Checks that a vocabulary, which a model was trained with, may stand in for its own."""
        if (
            isinstance(vocabulary, JsonVocabulary)
            and vocabulary.size <= self.vocab_size
            and vocabulary.requested in (None, self.vocab_size)
        ):
            return
        raise ValueError(
            f"BytePairTokenizer: vocab_size={self.vocab_size} does not describe the tokenizer "
            f"that the model was trained with, which has {vocabulary.size} tokens and is in "
            "the checkpoint; drop tokenizer to use that."
        )

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Trains on the documents, unless that was done before.

        The vocabulary of a short text can be smaller than `vocab_size`: pairs run out.
        """

        def train(folder: Path) -> None:
            engine = Engine(models.BPE())
            engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            engine.decoder = decoders.ByteLevel()
            trainer = trainers.BpeTrainer(
                vocab_size=self.vocab_size,
                special_tokens=[END],
                initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                show_progress=False,
            )
            engine.train_from_iterator(documents(), trainer)
            engine.save(str(folder / "tokenizer.json"))

        key = {"method": "byte pairs", "vocab_size": self.vocab_size, "text": digest}
        fitted = FileTokenizer(str(cached("tokenizers", key, train) / "tokenizer.json"))
        fitted.requested = self.vocab_size
        return fitted
