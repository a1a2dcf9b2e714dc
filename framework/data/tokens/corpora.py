"""Corpora: where text comes from. Here the abstract ones, and those in local files."""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from framework.data.cache import cached, fingerprint
from framework.data.files import existing_file, matching_files
from framework.data.texts import json_texts, read_text
from framework.data.tokens.streams import SPLITS, Stream, Streams, tokenized
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer
from framework.data.tokens.vocabularies import Numerals, Vocabulary

END = 1 << 16  # bytes at either end of a file that identify it, together with its size
PART = 10  # every tenth document of a single file of JSON lines is held out
CHUNK = 1 << 24  # tokens that are checked at once
DECODED = 1 << 20  # tokens that are decoded at once, each of which takes 36 bytes meanwhile
SHARED = 1 << 12  # tokens before them that are decoded as well; more than one character takes
FEW = 16  # tokens of which every second may be 0 by chance


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


class LocalText(TextCorpus):
    """Documents in local files, `files` of each split."""

    files: Mapping[str, Sequence[Path]]

    def called(self, split: str) -> str:
        """Names a split and its first file."""
        first, *others = self.files[split]
        more = f" and {len(others)} more" if others else ""
        return f"{super().called(split)}, {str(first)!r}{more},"


class TextFiles(LocalText):
    """Local text files in UTF-8, one document each.

    Args:
        train: Path or glob pattern of the files, such as "books/**/*.txt"; those that `val` or
            `test` name, too, are left out.
        val: Path or pattern of the validation files; if not given, the last part of each training
            file is held out.
        test: Path or pattern of the test files; if not given, the validation text.
        holdout: Fraction of each training file that is held out if `val` is not given.

    Raises:
        ValueError: If no file matches, none is left to train on, or `holdout` is not between 0
            and 1.
    """

    def __init__(
        self, train: str, val: str | None = None, test: str | None = None, holdout: float = 0.1
    ) -> None:
        if not 0 < holdout < 1:
            raise ValueError(
                f"TextFiles: holdout={holdout} is a fraction; use one between 0 and 1."
            )
        self.holdout = holdout if val is None else 0.0
        files = matching_files(train, "TextFiles: train")
        validated = None if val is None else matching_files(val, "TextFiles: val")
        tested = None if test is None else matching_files(test, "TextFiles: test")
        kept = _others(files, [*(validated or ()), *(tested or ())], f"TextFiles: train={train!r}")
        validated = validated or kept
        self.files = {"train": kept, "val": validated, "test": tested or validated}
        self.held_out = {"train": False, "val": val is None, "test": test is None and val is None}

    def documents(self, split: str) -> Iterable[str]:
        """Reads the files of a split, or the part of them that belongs to it."""
        for path in self.files[split]:
            text = read_text(path)
            cut = len(text) - round(len(text) * self.holdout)
            yield text[cut:] if self.held_out[split] else text[:cut] if split == "train" else text

    def digest(self, split: str) -> str:
        """Identifies the documents of a split by the content of the files."""
        part = f"{self.holdout} {self.held_out[split]} {split == 'train'}"
        return fingerprint(part, *self.files[split])


class JsonLines(LocalText):
    """Local files with one JSON object a line, each with a document; gzipped if named `.gz`.

    Large corpora such as Dolma are published in this format. Files are read line by line and kept
    as tokens, so a corpus may be larger than memory.

    Args:
        train: Path or glob pattern of the files, such as "dolma/*.json.gz"; those that `val` or
            `test` name, too, are left out.
        val: Path or pattern of the validation files; if not given, the last training file is held
            out, or every tenth document where there is one file.
        test: Path or pattern of the test files; if not given, the validation text.
        column: Name under which an object has its text.

    Raises:
        ValueError: If no file matches, or none is left to train on.
    """

    def __init__(
        self, train: str, val: str | None = None, test: str | None = None, column: str = "text"
    ) -> None:
        files = matching_files(train, "JsonLines: train")
        tested = None if test is None else matching_files(test, "JsonLines: test")
        files = _others(files, tested or (), f"JsonLines: train={train!r}")
        held_out = files[-1:] if val is None else matching_files(val, "JsonLines: val")
        self.shared = val is None and len(files) == 1
        if not self.shared:
            files = _others(files, held_out, f"JsonLines: train={train!r}")
        self.files = {"train": files, "val": held_out, "test": tested or held_out}
        self.column = column

    def documents(self, split: str) -> Iterable[str]:
        """Reads the documents of a split, one after the other."""
        for path in self.files[split]:
            for number, text in enumerate(json_texts(path, self.column), 1):
                if self._belongs(number, split):
                    yield text

    def _belongs(self, number: int, split: str) -> bool:
        """Returns whether a document of a file, counted from 1, belongs to a split."""
        whole = not self.shared or self.files[split] != self.files["train"]
        return whole or (number % PART == 0) == (split != "train")

    def digest(self, split: str) -> str:
        """Identifies files by their contents, of which a gzipped one ends with a checksum."""
        part = f"{split == 'train'}" if self.shared else ""
        return fingerprint(self.column + part, *map(_content, self.files[split]))


def _others(files: Sequence[Path], taken: Sequence[Path], option: str) -> list[Path]:
    """Returns the files to train on besides those to evaluate on; there must be one."""
    evaluated = {path.resolve() for path in taken}
    others = [path for path in files if path.resolve() not in evaluated]
    if not others:
        raise ValueError(
            f"{option} leaves no file besides those to validate or test on; give more files, or "
            "others as val and test."
        )
    return others


class TokenFiles(Corpus):
    """Files of token ids that were made elsewhere, `.npy` or raw integers (`.bin`).

    They are memory-mapped in place; all ids are checked once, and not again until a file changes.
    With the `FileTokenizer` that made them, ids are shown as text and bits per byte are measured;
    without one, these are not known and left out.

    Args:
        train: File to train on.
        val: File to validate on.
        vocab_size: Number of tokens, larger than every id.
        test: File to test on; if not given, the validation file.
        dtype: Type of raw integers, such as "uint16" or "uint32".

    Raises:
        ValueError: If a file is missing, empty or does not hold integers.
    """

    def __init__(
        self, train: str, val: str, vocab_size: int, test: str | None = None, dtype: str = "uint16"
    ) -> None:
        self.vocab_size = vocab_size
        paths = {"train": train, "val": val, "test": test or val}
        self.files = {
            split: Stream(existing_file(path, f"TokenFiles: {split}"), dtype)
            for split, path in paths.items()
        }

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Checks that all ids lie in the vocabulary, and that `dtype` is likely.

        Raises:
            ValueError: If an id does not, or every second one of a raw file is 0.
        """
        vocabulary = tokenizer.fit("", tuple) if tokenizer else Numerals(self.vocab_size)
        if vocabulary.size > self.vocab_size:
            raise ValueError(
                f"TokenFiles: the tokenizer has {vocabulary.size} tokens, more than "
                f"vocab_size={self.vocab_size}; give the tokenizer that the files were made with."
            )
        for split in SPLITS:
            self._check(split, vocabulary.size)
        val, test = self.files["val"], self.files["test"]
        lengths = {"val": _bytes_per_token(val, vocabulary)}
        same = test.path == val.path
        lengths["test"] = lengths["val"] if same else _bytes_per_token(test, vocabulary)
        return Streams(self.files, vocabulary, lengths)

    def _check(self, split: str, size: int) -> None:
        stream = self.files[split]
        _check_width(stream)
        facts = _measured(stream, "range", _range)
        if facts["smallest"] >= 0 and facts["largest"] < size:
            return
        number, token = _first_beyond(stream, size)
        limit = f"vocab_size={size}"
        if size < self.vocab_size:
            limit = f"the {size} tokens of the tokenizer"
        raise ValueError(
            f"TokenFiles: token {number} of {str(stream.path)!r} is {token}, beyond {limit}; "
            "check the size, the dtype and which tokenizer made the file."
        )


def _measured(
    stream: Stream, name: str, measure: Callable[[Stream], dict[str, float]]
) -> dict[str, float]:
    facts: dict[str, float] = _once(
        stream.path, lambda: measure(stream), name=name, dtype=str(stream.ids.dtype)
    )
    return facts


def _content(path: Path) -> str:
    if path.suffix == ".gz":
        return fingerprint(*_ends(path))
    return str(_once(path, lambda: fingerprint(path), name="content"))


def _once(path: Path, find: Callable[[], Any], **what: str) -> Any:
    """Finds a fact of a file once, and keeps it as long as its name, time and ends do not change.

    All processes of a machine, and later runs, then start without a pass over it.
    """

    def write(folder: Path) -> None:
        (folder / "facts.json").write_text(json.dumps(find()))

    time, ends = path.stat().st_mtime_ns, fingerprint(*_ends(path))
    key = {"file": str(path.absolute()), "time": time, "ends": ends, **what}
    return json.loads((cached("measured", key, write) / "facts.json").read_text())


def _range(stream: Stream) -> dict[str, float]:
    starts = range(0, len(stream), CHUNK)
    chunks = [stream.ids[start : start + CHUNK] for start in starts]
    return {
        "smallest": min(int(chunk.min()) for chunk in chunks),
        "largest": max(int(chunk.max()) for chunk in chunks),
    }


def _first_beyond(stream: Stream, size: int) -> tuple[int, int]:
    """Returns the place of the first id that is not in a vocabulary, and the id; there is one."""
    for start in range(0, len(stream), CHUNK):
        chunk = stream.ids[start : start + CHUNK]
        wrong = np.flatnonzero((chunk < 0) | (chunk >= size))
        if len(wrong):
            return start + int(wrong[0]), int(chunk[wrong[0]])
    raise AssertionError("all ids are in the vocabulary")


def _check_width(stream: Stream) -> None:
    """Checks that raw integers are not read as narrower ones, whose upper half would be an id."""
    raw, start = stream.path.suffix != ".npy", stream.ids[:CHUNK]
    if raw and len(start) >= FEW and start[::2].any() and not start[1::2].any():
        bits = 8 * start.dtype.itemsize
        raise ValueError(
            f"TokenFiles: every second id of {str(stream.path)!r} is 0, as where integers of "
            f"{2 * bits} bits are read as {stream.dtype}; set dtype to 'uint{2 * bits}', or save "
            "the ids as .npy if that is what they are."
        )


def _bytes_per_token(stream: Stream, vocabulary: Vocabulary) -> float:
    """Measures the mean length of the tokens that are predicted; NaN where it is not known."""
    if isinstance(vocabulary, Numerals):
        return math.nan
    measured = partial(_length, vocabulary=vocabulary)
    return _measured(stream, f"length in {vocabulary.digest()}", measured)["bytes"]


def _length(stream: Stream, vocabulary: Vocabulary) -> dict[str, float]:
    """Sums what each part adds to the tokens before it, with which it may share a character.

    That is the length of all at once. What a token becomes depends on its neighbors, and on the
    borders of the text, such as a space that is left out in front: that cancels.
    """
    total, count = 0, len(stream)
    for start in range(1, count, DECODED):
        begin = max(1, start - SHARED)
        ids = stream.ids[begin : start + DECODED].tolist()
        whole, before = (vocabulary.decode(part) for part in (ids, ids[: start - begin]))
        total += len(whole.encode()) - len(before.encode())
    return {"bytes": total / max(1, count - 1)}


def _ends(path: Path) -> tuple[str, bytes, bytes]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END))
        last = file.read()
        file.seek(0)
        return str(size), file.read(END), last
