"""Vocabularies: fixed sets of tokens that convert text to ids, and back."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Engine

from framework.data.cache import fingerprint


class Vocabulary(ABC):
    """A fixed set of tokens that can encode any text."""

    size: int  # number of tokens
    end: int  # id of the token between documents

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to token ids, without the token between documents.

        Text that spells a special token, such as the one between documents, is text like any
        other.
        """

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text; an incomplete character gives U+FFFD."""

    @abstractmethod
    def digest(self) -> str:
        """Identifies the vocabulary in the keys of texts encoded with it."""

    def describe(self) -> dict[str, Any]:
        """Returns plain data for checkpoints, from which `restore` makes the vocabulary again.

        Here its digest alone, by which it is recognized when it is made once more.
        """
        return {"kind": "other", "digest": self.digest(), "size": self.size}


class Bytes(Vocabulary):
    """The 256 bytes of UTF-8, and a token between documents."""

    size = 257
    end = 256

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to its bytes."""
        return [list(text.encode()) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts bytes to text; the token between documents is left out."""
        return bytes(i for i in ids if i != self.end).decode(errors="replace")

    def digest(self) -> str:
        """Identifies the vocabulary: there is only one."""
        return "bytes"

    def describe(self) -> dict[str, Any]:
        """Returns plain data for checkpoints."""
        return {"kind": "bytes"}


class JsonVocabulary(Vocabulary):
    """The vocabulary of a tokenizer of the `tokenizers` library.

    Whether it truncates or pads texts is an option of other programs, and is not used.

    Args:
        engine: The tokenizer; it is changed.
        end: Name of the token that stands between documents.
        requested: How many tokens it was to have, if it was fitted to a text: it has fewer where
            that ran out of pairs.

    Raises:
        ValueError: If there is no such token.
    """

    def __init__(self, engine: Engine, end: str, requested: int | None = None) -> None:
        found = engine.token_to_id(end)
        if found is None:
            raise ValueError(f"it has no token {end!r}")
        engine.no_truncation()
        engine.no_padding()
        # The end token may not be marked as special in the file; text could then spell it.
        engine.add_special_tokens([AddedToken(end, special=True, normalized=False)])
        engine.encode_special_tokens = True
        self._engine, self._end_name = engine, end
        self.end, self.size = found, 1 + max(engine.get_vocab().values())  # ids may have gaps
        self.requested = requested

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to token ids."""
        encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text; special tokens are left out."""
        return str(self._engine.decode(list(ids), skip_special_tokens=True))

    def digest(self) -> str:
        """Identifies the vocabulary by what its file says, however that is formatted."""
        return self._digest

    def describe(self) -> dict[str, Any]:
        """Returns plain data for checkpoints: the whole tokenizer."""
        whole = {"kind": "json", "json": self._engine.to_str(), "end": self._end_name}
        return {**whole, "requested": self.requested}

    @cached_property
    def _digest(self) -> str:
        return fingerprint("special tokens are text", self._engine.to_str(), str(self.end))


class Numerals(Vocabulary):
    """Shows token ids as numerals, where nothing is known about their meaning.

    Args:
        size: Number of tokens.
    """

    def __init__(self, size: int) -> None:
        self.size, self.end = size, 0

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts numerals separated by spaces to ids.

        Raises:
            ValueError: If a text holds something else, or an id that there is not.
        """
        return [[self._id(word) for word in text.split()] for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts ids to numerals separated by spaces."""
        return " ".join(str(i) for i in ids)

    def digest(self) -> str:
        """Identifies the vocabulary by its size."""
        return f"numerals {self.size}"

    def describe(self) -> dict[str, Any]:
        """Returns plain data for checkpoints."""
        return {"kind": "numerals", "size": self.size}

    def _id(self, word: str) -> int:
        if not re.fullmatch("[0-9]+", word) or int(word) >= self.size:
            raise ValueError(
                f"The model was trained on token ids without a tokenizer, and {word[:40]!r} is no "
                f"id from 0 to {self.size - 1}; give ids separated by spaces, or the tokenizer "
                "that made them."
            )
        return int(word)


def restore(description: Mapping[str, Any]) -> Vocabulary | None:
    """Makes the vocabulary that a checkpoint describes; None if only its digest is known.

    Args:
        description: What `Vocabulary.describe` returned.

    Raises:
        ValueError: If this version does not know such vocabularies.
    """
    match description:
        case {"kind": "bytes"}:
            return Bytes()
        case {"kind": "json", "json": str(text), "end": str(end)}:
            return JsonVocabulary(Engine.from_str(text), end, description.get("requested"))
        case {"kind": "numerals", "size": int(size)}:
            return Numerals(size)
        case {"kind": "other"}:
            return None
    raise ValueError(
        f"The checkpoint holds a tokenizer of the kind {description.get('kind')!r}, which this "
        "version does not know; use the version that saved it, or a later one."
    )
