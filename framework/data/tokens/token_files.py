"""Files of token ids that were made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from framework.data.files import existing_file
from framework.data.tokens.corpora import Corpus
from framework.data.tokens.facts import found_once
from framework.data.tokens.streams import SPLITS, Stream, Streams
from framework.data.tokens.tokenizer import Tokenizer
from framework.data.tokens.vocabularies import Numerals, Vocabulary

CHUNK = 1 << 24  # tokens that are checked at once
DECODED = 1 << 20  # tokens that are decoded at once, each of which takes 36 bytes meanwhile
SHARED = 1 << 12  # tokens before them that are decoded as well; more than one character takes
FEW = 16  # tokens of which every second may be 0 by chance


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
    facts: dict[str, float] = found_once(
        stream.path, lambda: measure(stream), name=name, dtype=str(stream.ids.dtype)
    )
    return facts


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
