"""StreamedText: a data set of Hugging Face `datasets` that is read row by row, and not kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from glob import glob
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from framework.data.cache import fingerprint
from framework.data.texts import text_of
from framework.data.tokens.hub import HubText, no_column

State = Mapping[str, Any] | None
"""Where `datasets` stands in a data set, as plain data; None at the beginning."""


class Read(NamedTuple):
    """A document of a stream."""

    text: str
    before: State  # from where the stream yields this document first


class StreamedText(HubText):
    """A text column of a data set that `datasets` can stream, from the hub or from local files.

    Training text is read as it is needed, see `StreamedTokenData`. Validation and test text, and
    that which a tokenizer is trained on, are the first `limit` documents of their splits.

    Args:
        path: Name on the hub such as "HuggingFaceFW/fineweb", or of a builder such as "json",
            "parquet" or "text".
        name: Configuration of the data set.
        data_files: Local files of each split, for a builder.
        column: Name of the column with the text.
        train: Split to train on.
        val: Split to validate on.
        test: Split to test on; if not given, the validation split.
        limit: Documents that are kept of a split, at least 1.

    Raises:
        ValueError: If `limit` is not positive; when it is read, if the data set, a split or the
            column cannot be found.
    """

    def __init__(
        self,
        path: str,
        name: str | None = None,
        data_files: dict[str, str] | None = None,
        column: str = "text",
        train: str = "train",
        val: str = "validation",
        test: str | None = None,
        limit: int = 10_000,
    ) -> None:
        super().__init__(path, name, data_files, column, train, val, test)
        if limit < 1:
            raise ValueError(f"StreamedText: limit={limit} keeps no document; use at least 1.")
        self.limit = limit

    def documents(self, split: str) -> Iterable[str]:
        """Reads the first `limit` documents of a split."""
        return (text for text, _ in islice(self._read(self._load(split)), self.limit))

    def digest(self, split: str) -> str:
        """Identifies the documents by how they are found, and by size and time of local files."""
        files = (self._files() or {}).values()
        found = sorted(name for pattern in files for name in glob(pattern, recursive=True))
        status = [Path(name).stat() for name in found]
        local = [
            f"{name} {s.st_size} {s.st_mtime_ns}" for name, s in zip(found, status, strict=True)
        ]
        place = f"{self.path} {self.name} {self.splits[split]} {self.column} {self.limit}"
        return fingerprint(place, *local)

    def shards(self) -> int:
        """Returns in how many parts the training text can be read by different readers."""
        return int(self._load("train").num_shards)

    def read(self, reader: int, readers: int, state: State = None) -> Iterator[Read]:
        """Reads a part of the training text once, in the order of its files.

        Args:
            reader: Number of the part.
            readers: Number of parts, at most `shards()`.
            state: Where to begin.
        """
        return self._read(self._load("train").shard(readers, reader, contiguous=False), state)

    def _read(self, rows: Any, state: State = None) -> Iterator[Read]:
        if state is not None:
            rows.load_state_dict(dict(state))
        before = rows.state_dict()
        for number, row in enumerate(rows, 1):
            if self.column not in row:
                raise no_column(sorted(row), self.column, self.path)
            place = f"The data set {self.path!r}: row {number} of those read here"
            yield Read(text_of(row[self.column], self.column, place), before)
            before = rows.state_dict()

    def _options(self) -> dict[str, Any]:
        return {"streaming": True}
