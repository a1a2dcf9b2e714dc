"""Readers: each cuts its part of a streamed text into windows, in an order that can be resumed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.tokens.streaming.source import Read, State, StreamedText
from framework.data.tokens.vocabularies import Vocabulary

GROUP = 16  # documents that are encoded at once


@dataclass(frozen=True)
class Bookmark:
    """A place in the text of a reader, from which it can read on.

    Args:
        windows: Windows before it; a whole number of blocks.
        state: From where the stream yields the document that the next window begins in.
        skip: Tokens of that document before the window.
    """

    windows: int
    state: State
    skip: int

    def plain(self) -> dict[str, Any]:
        """Returns it as plain data for a checkpoint."""
        return asdict(self)


class Window(NamedTuple):
    """Consecutive tokens of a text."""

    ids: NDArray[np.int64]  # one more than a window has positions: the last is a target only
    reader: int
    bookmark: Bookmark | None  # the place where its block begins, with the first of a block


class Tokens(NamedTuple):
    """A document as tokens."""

    ids: list[int]  # the token that begins it is in front; that which ends it, if another, behind
    before: State


class Reader:
    """Reads its part of a text again and again, and cuts it into windows.

    A block of windows is shuffled, with a seed of its own: that can be resumed, because a block is
    made anew from where it begins, and no window leaves its block.

    Args:
        source: The text.
        vocabulary: Encodes it.
        length: Positions of a window.
        block: Windows of a block.
        seed: Seed of the order.
        number: Number of the reader.
        readers: Number of all.
    """

    def __init__(
        self,
        source: StreamedText,
        vocabulary: Vocabulary,
        length: int,
        block: int,
        seed: int,
        number: int,
        readers: int,
    ) -> None:
        self.source, self.vocabulary = source, vocabulary
        self.length, self.block, self.seed = length, block, seed % 2**64
        self.number, self.readers = number, readers

    def windows(self, first: int, bookmark: Bookmark | None = None) -> Iterator[Window]:
        """Yields the windows from number `first` on, without end.

        Args:
            first: Number of the first window.
            bookmark: A place to begin to read, not behind that window; the beginning if not given.

        Raises:
            ValueError: If the text of this reader is empty.
        """
        begin = bookmark or Bookmark(0, None, 0)
        for mark, block in self._blocks(begin):
            if mark.windows + self.block <= first:
                continue
            generator = np.random.default_rng((self.seed, self.number, mark.windows))
            order = generator.permutation(self.block)
            skipped = max(0, first - mark.windows)
            for place in range(skipped, self.block):
                noted = mark if place == skipped else None
                yield Window(block[order[place]], self.number, noted)

    def _blocks(self, begin: Bookmark) -> Iterator[tuple[Bookmark, list[NDArray[np.int64]]]]:
        """Yields the blocks from a bookmark on: where each begins, and its windows in order."""
        size = self.block * self.length
        held: list[Tokens] = []  # documents of which a token is still to come
        known, skip, texts = 0, begin.skip, self._endless(begin.state)
        for windows in count(begin.windows, self.block):
            while known - skip < size + 1:
                held.append(next(texts))
                known += len(held[-1].ids)
            row = np.concatenate([tokens.ids for tokens in held])[skip : skip + size + 1]
            starts = range(0, size, self.length)
            mark = Bookmark(windows, held[0].before, skip)
            yield mark, [row[start : start + self.length + 1] for start in starts]
            skip += size
            while skip >= len(held[0].ids):
                gone = len(held.pop(0).ids)
                skip, known = skip - gone, known - gone

    def _endless(self, state: State) -> Iterator[Tokens]:
        """Encodes the documents from a state on, and from the beginning when they end."""
        while True:
            read, found = self.source.read(self.number, self.readers, state), False
            while group := list(islice(read, GROUP)):
                for tokens in self._encoded([one for one in group if one.text]):
                    found = True
                    yield tokens
            if not found and state is None:
                raise ValueError(
                    f"StreamedText: reader {self.number} of {self.readers} finds no text in its "
                    "part of the training split; lower data.readers, or check the files."
                )
            state = None

    def _encoded(self, group: list[Read]) -> Iterator[Tokens]:
        rows = self.vocabulary.encode([one.text for one in group]) if group else []
        *ends, begin = self.vocabulary.between
        for one, ids in zip(group, rows, strict=True):
            yield Tokens([begin, *ids, *ends], one.before)
