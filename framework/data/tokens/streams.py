"""Token streams: long rows of token ids on disk, memory-mapped by all who read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import cached
from framework.data.tokens.tokenizer import Tokenizer
from framework.data.tokens.vocabularies import Numerals, Vocabulary

SPLITS = ("train", "val", "test")
PIECE = 1 << 20  # characters that are encoded at once, which bounds the memory of long documents
CUT = re.compile(r"\n(?=\S)")
GROUP = 256  # pieces that the tokenizer spreads over its threads


class Stream:
    """Token ids in a file, as a one-dimensional array.

    Pickled as its path, so that workers share the pages of the file.

    Args:
        path: A `.npy` file, or raw little-endian integers.
        dtype: Type of the raw integers; a `.npy` file has its own.

    Raises:
        ValueError: If the file is missing, empty, or is not a row of integers.
    """

    def __init__(self, path: Path, dtype: str = "uint16") -> None:
        self.path, self.dtype = path, dtype
        if not path.is_file():
            raise ValueError(f"There is no file of tokens {str(path)!r}; check the path.")
        if path.stat().st_size < 2:
            raise ValueError(
                f"The file of tokens {str(path)!r} is empty; give at least two tokens."
            )
        try:
            self.ids: Any = (
                np.load(path, mmap_mode="r")
                if path.suffix == ".npy"
                else np.memmap(path, dtype, "r")
            )
        except (ValueError, TypeError, EOFError, SyntaxError, TokenError) as error:
            raise ValueError(
                f"The file of tokens {str(path)!r} cannot be read as {dtype}; "
                f"check dtype ({error})."
            ) from error
        if self.ids.ndim != 1 or self.ids.dtype.kind not in "iu":
            raise ValueError(
                f"The file of tokens {str(path)!r} holds {self.ids.dtype} of shape "
                f"{self.ids.shape}; give one row of integers."
            )

    def __reduce__(self) -> tuple[type[Stream], tuple[Path, str]]:
        return Stream, (self.path, self.dtype)

    def __len__(self) -> int:
        return len(self.ids)


class TokenStream(Protocol):
    """Token ids that are read by slices."""

    @property
    def path(self) -> Path:
        """The file, or the folder of the files."""

    @property
    def ids(self) -> Any:
        """The ids, as a one-dimensional array."""

    def __len__(self) -> int:
        """Returns the number of ids."""


@dataclass(frozen=True)
class Streams:
    """The tokens of a corpus.

    Args:
        streams: A stream for each of "train", "val" and "test".
        vocabulary: The meaning of the ids.
        bytes_per_token: For "val" and "test" the mean length in bytes of the tokens that are
            predicted: all but the first.
    """

    streams: Mapping[str, TokenStream]
    vocabulary: Vocabulary
    bytes_per_token: dict[str, float]


class Documents(Protocol):
    """Documents of three splits."""

    def documents(self, split: str) -> Iterable[str]:
        """Reads the documents of "train", "val" or "test"."""

    def digest(self, split: str) -> str:
        """Identifies the documents of a split by their content."""

    def called(self, split: str) -> str:
        """Names the documents of a split, as the subject of an error."""


def tokenized(text: Documents, tokenizer: Tokenizer) -> Streams:
    """Encodes a text and caches its streams; training text alone forms the vocabulary.

    In a stream a token that begins it precedes every document, so that every token of a text is
    predicted once, including its first. The same token ends the document before it, or another one
    between the two does.

    Raises:
        ValueError: If a split holds no text.
    """
    vocabulary = tokenizer.fit(text.digest("train"), lambda: _checked(text, "train"))
    if isinstance(vocabulary, Numerals):
        raise ValueError(
            f"{type(text).__name__}: the model was trained on token ids without a tokenizer, in "
            "which text cannot be encoded; give the tokenizer that made the ids as tokenizer."
        )
    encoded = {split: encode(text, split, vocabulary) for split in SPLITS}
    streams = {split: stream for split, (stream, _) in encoded.items()}
    lengths = {split: encoded[split][1] / (len(streams[split]) - 1) for split in ("val", "test")}
    return Streams(streams, vocabulary, lengths)


def encode(text: Documents, split: str, vocabulary: Vocabulary) -> tuple[Stream, int]:
    """Encodes a split and caches its stream.

    Returns:
        The stream, in which documents are told apart as in `tokenized`, and the length of the
        documents in bytes.

    Raises:
        ValueError: If the split holds no text.
    """
    dtype = dtype_of(vocabulary)

    def write(folder: Path) -> None:
        _write(folder, _checked(text, split), vocabulary, dtype)

    key = {"text": text.digest(split), "vocabulary": vocabulary.digest()}
    folder = cached("tokens", key, write)
    size = json.loads((folder / "facts.json").read_text())["bytes"]
    return Stream(folder / "tokens.bin", dtype), size


def _write(folder: Path, documents: Iterable[str], vocabulary: Vocabulary, dtype: str) -> None:
    """Writes `tokens.bin`, and how many bytes of text it encodes."""
    count = 0
    with (folder / "tokens.bin").open("wb") as file:
        for piece in encoded_pieces(documents, vocabulary, dtype):
            piece.ids.tofile(file)
            count += piece.bytes
    (folder / "facts.json").write_text(json.dumps({"bytes": count}))


class EncodedPiece(NamedTuple):
    """A document, or a part of a long one, as token ids."""

    ids: NDArray[Any]  # the tokens between documents are in front of all but the first
    bytes: int  # length of the text
    opens: bool  # whether a document begins with it


def encoded_pieces(
    documents: Iterable[str], vocabulary: Vocabulary, dtype: str
) -> Iterator[EncodedPiece]:
    """Encodes documents, many at once and long ones in pieces.

    Args:
        documents: Texts, none of them empty.
        vocabulary: Encodes them.
        dtype: Type of the ids, see `dtype_of`.
    """
    pieces, opening = _pieces(documents), [vocabulary.begin]
    while group := list(islice(pieces, GROUP)):
        encoded = vocabulary.encode([piece for _, piece in group])
        for (first, piece), ids in zip(group, encoded, strict=True):
            row = [*opening, *ids] if first else ids
            yield EncodedPiece(np.asarray(row, dtype), len(piece.encode()), first)
            opening = vocabulary.between


def dtype_of(vocabulary: Vocabulary) -> str:
    """Returns the type of integers that its ids are written as."""
    return "uint16" if vocabulary.size <= 1 << 16 else "uint32"


def _checked(text: Documents, split: str) -> Iterator[str]:
    """Reads the documents of a split that are not empty; there must be at least one."""
    document = None
    for document in filter(None, text.documents(split)):
        yield document
    if document is None:
        raise ValueError(f"{text.called(split)} holds no text; check what it is read from.")


def _pieces(documents: Iterable[str]) -> Iterator[tuple[bool, str]]:
    """Cuts long documents; each piece comes with whether it opens a document.

    A cut lies between a line break and a character that is not space: byte-pair encodings of
    GPT-2's kind split there anyway.
    """
    for document in documents:
        start = 0
        while start < len(document):
            cut = CUT.search(document, start + PIECE)
            stop = cut.end() if cut else len(document)
            yield start == 0, document[start:stop]
            start = stop
