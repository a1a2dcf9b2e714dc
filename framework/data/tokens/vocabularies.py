"""Vocabularies: fixed sets of tokens that convert text to ids, and back."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from tokenizers import AddedToken
from tokenizers import Tokenizer as Engine

from framework.data.cache import fingerprint
from framework.data.tokens.spelling import spelled, split


class Vocabulary(ABC):
    """A fixed set of tokens that can encode any text.

    One token can both begin and end documents, so that it alone stands between them. Where they
    are two, as `<s>` and `</s>` of many published models, both do.
    """

    size: int  # number of tokens
    end: int  # id of the token behind a document
    runs: frozenset[int] = frozenset()  # ids that may be decoded together with what follows

    @property
    def begin(self) -> int:
        """Id of the token in front of each document: here that which ends the one before."""
        return self.end

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids of all tokens at which a text ends that a model writes; `end` is the first."""
        return (self.end,)

    @property
    def between(self) -> list[int]:
        """Ids of the tokens between two documents."""
        return [self.begin] if self.begin in self.ends else [self.end, self.begin]

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to token ids, without the tokens between documents.

        Text that spells a special token, such as the one between documents, is text like any
        other: no document can end itself, nor a prompt.
        """

    def encode_as_published(self, texts: Sequence[str], around: bool = True) -> list[list[int]]:
        """Converts each text to token ids as the published tokenizer does if not told otherwise.

        Text that spells a special token is that token. Here it is the same as `encode`.

        Args:
            texts: The texts.
            around: Whether with the tokens that it puts around every text: many put one in front.
        """
        return self.encode(texts)

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
        end: Name of the token behind each document.
        requested: How many tokens it was to have, if it was fitted to a text: it has fewer where
            that ran out of pairs.
        begin: Name of the token in front of each document; `end` if not given.
        ends: Ids of further tokens at which a text ends.
        files: Texts of the files that were published with it, by name: they go along with a model
            that is exported.

    Raises:
        ValueError: If there is no such token.
    """

    def __init__(
        self,
        engine: Engine,
        end: str,
        requested: int | None = None,
        begin: str | None = None,
        ends: Iterable[int] = (),
        files: Mapping[str, str] | None = None,
    ) -> None:
        names = [end] if begin is None else [end, begin]
        found = [_id(engine, name) for name in names]
        engine.no_truncation()
        engine.no_padding()
        # They may not be marked as special in the file; text could then spell them.
        engine.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in names])
        engine.encode_special_tokens = True
        self._engine, self._names = engine, names
        self.end, self._begin = found[0], found[-1]
        self._further = [token for token in dict.fromkeys(ends) if token != self.end]
        self.size = 1 + max(engine.get_vocab().values())  # ids may have gaps
        self.requested, self.files = requested, dict(files or {})
        added = engine.get_added_tokens_decoder().items()
        special = {token: facts.content for token, facts in added if facts.special}
        apart = (engine.token_to_id(f"<0x{byte:02X}>") for byte in range(256))
        self.runs = frozenset((*special, *(token for token in apart if token is not None)))
        self._spelled = spelled(engine, special.values())
        self._json = engine.to_str() if self._spelled else None
        if self._spelled:
            split(engine, self._spelled)

    @property
    def begin(self) -> int:
        """Id of the token in front of each document."""
        return self._begin

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids of all tokens at which a text ends that a model writes."""
        return (self.end, *self._further)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Converts each text to token ids."""
        encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def encode_as_published(self, texts: Sequence[str], around: bool = True) -> list[list[int]]:
        """Converts each text to token ids, with the special tokens around it and in it."""
        self._engine.encode_special_tokens = False
        try:
            encodings = self._engine.encode_batch_fast(list(texts), add_special_tokens=around)
        finally:
            self._engine.encode_special_tokens = True
        return [encoding.ids for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """Converts token ids to text; special tokens are left out."""
        return str(self._engine.decode(list(ids), skip_special_tokens=True))

    def id_of(self, name: str) -> int | None:
        """Returns the id of a token, None if there is none of this name."""
        return self._engine.token_to_id(name)

    def digest(self) -> str:
        """Identifies the vocabulary by what its file says, however that is formatted.

        At which further tokens a text ends, and which files came along, changes no encoding.
        """
        return self._digest

    def describe(self) -> dict[str, Any]:
        """Returns plain data for checkpoints: the whole tokenizer."""
        whole = {"kind": "json", "json": self._text(), "end": self._names[0]}
        begin = None if self.begin == self.end else self._names[-1]
        others = {"begin": begin, "ends": self._further, "files": self.files}
        rest = {name: value for name, value in others.items() if value}
        return {**whole, "requested": self.requested, **rest}

    def _text(self) -> str:
        """Returns the tokenizer as its file has it, without what keeps spelled tokens apart."""
        return self._engine.to_str() if self._json is None else self._json

    @cached_property
    def _digest(self) -> str:
        between, first = map(str, self.between[::-1]), "special tokens are text"
        return fingerprint(first, self._text(), *between, *self._spelled)


def _id(engine: Engine, name: str) -> int:
    found = engine.token_to_id(name)
    if found is None:
        raise ValueError(f"it has no token {name!r}")
    return found


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
            names = ("requested", "begin", "ends", "files")
            further = {name: description[name] for name in names if name in description}
            return JsonVocabulary(Engine.from_str(text), end, **further)
        case {"kind": "numerals", "size": int(size)}:
            return Numerals(size)
        case {"kind": "other"}:
            return None
    raise ValueError(
        f"The checkpoint holds a tokenizer of the kind {description.get('kind')!r}, which this "
        "version does not know; use the version that saved it, or a later one."
    )
