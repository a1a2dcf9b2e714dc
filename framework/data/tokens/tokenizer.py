"""Tokenizers: convert text to token ids, and back.

A `Tokenizer` is an option of an experiment; fitted to a training text it yields the `Vocabulary`
that encodes and decodes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models, pre_tokenizers, trainers

from framework.data.cache import cached, fingerprint

END = "<|endoftext|>"  # precedes every document; the name is GPT-2's


class Vocabulary(ABC):
    """A fixed set of tokens that can encode any text."""

    size: int  # number of tokens
    end: int  # id of the token between documents

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to token ids, without the token between documents."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text; an incomplete character gives U+FFFD."""

    @abstractmethod
    def digest(self) -> str:
        """Identifies the vocabulary in the keys of texts encoded with it."""


class Tokenizer(ABC):
    """Makes a vocabulary for a text."""

    @abstractmethod
    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Makes the vocabulary for a training text.

        Args:
            digest: Identifies the text, so that nothing is fitted twice.
            documents: Reads the text; called only if needed.
        """


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


class ByteTokenizer(Tokenizer, Vocabulary):
    """Encodes text as its UTF-8 bytes: 256 tokens, and one between documents; no training."""

    size = 257
    end = 256

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns itself: bytes suit every text."""
        return self

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to its bytes."""
        return [list(text.encode()) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts bytes to text; the token between documents is left out."""
        return bytes(i for i in ids if i != self.end).decode(errors="replace")

    def digest(self) -> str:
        """Identifies the vocabulary: there is only one."""
        return "bytes"


class FileTokenizer(Tokenizer, Vocabulary):
    """Uses a `tokenizer.json` of the `tokenizers` library, as published with language models.

    Args:
        path: The file.
        end: Name of the token that stands between documents.

    Raises:
        ValueError: If the file is missing or is not a tokenizer, or has no such token.
    """

    def __init__(self, path: str, end: str = END) -> None:
        if not Path(path).is_file():
            raise ValueError(
                f"FileTokenizer: there is no file path={path!r}; give a tokenizer.json."
            )
        try:
            self._engine = Engine.from_file(path)
        except Exception as error:  # the library raises a bare Exception
            raise ValueError(
                f"FileTokenizer: path={path!r} is not a file of the tokenizers library; "
                f"give a tokenizer.json ({error})."
            ) from error
        found = self._engine.token_to_id(end)
        if found is None:
            raise ValueError(
                f"FileTokenizer: the tokenizer {path!r} has no token end={end!r}; "
                "set end to the token that it puts between documents, such as '</s>'."
            )
        self.path, self.end, self.size = Path(path), found, self._engine.get_vocab_size()

    def fit(self, digest: str, documents: Callable[[], Iterable[str]]) -> Vocabulary:
        """Returns itself: the vocabulary is in the file."""
        return self

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to token ids."""
        encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text; special tokens are left out."""
        return str(self._engine.decode(list(ids), skip_special_tokens=True))

    def digest(self) -> str:
        """Identifies the vocabulary by the content of its file."""
        return fingerprint(self.path, str(self.end))


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
        if vocab_size < ByteTokenizer.size:
            raise ValueError(
                f"BytePairTokenizer: vocab_size={vocab_size} leaves no room for all bytes; "
                f"use at least {ByteTokenizer.size}, or ByteTokenizer."
            )
        self.vocab_size = vocab_size

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
        return FileTokenizer(str(cached("tokenizers", key, train) / "tokenizer.json"))


class Numerals(Vocabulary):
    """Shows token ids as numerals, where nothing is known about their meaning.

    Args:
        size: Number of tokens.
    """

    def __init__(self, size: int) -> None:
        self.size, self.end = size, 0

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts numerals separated by spaces to ids."""
        return [[int(word) for word in text.split()] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts ids to numerals separated by spaces."""
        return " ".join(str(i) for i in ids)

    def digest(self) -> str:
        """Identifies the vocabulary by its size."""
        return f"numerals {self.size}"
