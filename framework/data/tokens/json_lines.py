"""Corpora of JSON lines, the format in which large ones are published."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from framework.data.cache import fingerprint
from framework.data.tokens.corpora import Corpus, matching_files
from framework.data.tokens.streams import Streams, tokenized
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer

END = 1 << 16  # bytes at either end of a file that identify it, together with its size


class JsonLines(Corpus):
    """Local files with one JSON object a line, each with a document; gzipped if named `.gz`.

    Dolma comes like this, for example. Files are read line by line and kept as tokens, so that a
    corpus may be larger than memory.

    Args:
        train: Path or glob pattern of the files, such as "dolma/*.json.gz".
        val: Path or pattern of the validation files; if not given, the last training file is held
            out.
        test: Path or pattern of the test files; if not given, the validation text.
        column: Name under which an object has its text.

    Raises:
        ValueError: If no file matches, or none is left to train on.
    """

    def __init__(
        self, train: str, val: str | None = None, test: str | None = None, column: str = "text"
    ) -> None:
        files = matching_files("JsonLines", "train", train)
        held_out = files[-1:] if val is None else matching_files("JsonLines", "val", val)
        kept = [path for path in files if path not in held_out]
        if not kept:
            raise ValueError(
                f"JsonLines: train={train!r} leaves no file beside those for validation; give "
                "more files, or others as val."
            )
        tested = held_out if test is None else matching_files("JsonLines", "test", test)
        self.files = {"train": kept, "val": held_out, "test": tested}
        self.column = column

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Encodes the files, one document a line.

        Raises:
            ValueError: If a line is no JSON object, or has no text.
        """
        return tokenized(self, tokenizer or BytePairTokenizer())

    def documents(self, split: str) -> Iterable[str]:
        """Reads the documents of a split, one after the other."""
        for path in self.files[split]:
            yield from self._read(path)

    def digest(self, split: str) -> str:
        """Identifies files by their sizes and ends; at that of a gzipped one is a checksum."""
        return fingerprint(
            self.column, *(part for path in self.files[split] for part in _ends(path))
        )

    def _read(self, path: Path) -> Iterator[str]:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield json.loads(line)[self.column] or ""
                except (ValueError, TypeError, KeyError) as error:
                    raise ValueError(
                        f"JsonLines: line {number} of {str(path)!r} is no JSON object with "
                        f"{self.column!r}; name the field with the text as column, or mend the "
                        "file."
                    ) from error


def _ends(path: Path) -> tuple[str, bytes, bytes]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END))
        last = file.read()
        file.seek(0)
        return str(size), file.read(END), last
