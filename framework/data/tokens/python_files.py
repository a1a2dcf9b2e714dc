"""All files of the Python standard library as a corpus: enough code to train a small model."""

from __future__ import annotations

import hashlib
import sysconfig
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from framework.data.cache import fingerprint
from framework.data.tokens.corpora import Corpus
from framework.data.tokens.streams import Streams, tokenized
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer

PARTS = 20  # of which one is for validation and one for the test
PACKAGES = {"site-packages", "dist-packages"}  # what was installed besides


class PythonFiles(Corpus):
    """The source files of the Python standard library with all its packages, one document each.

    Some 30 MB, the library's own tests included, where these are installed. Of 20 files 18 are for
    training, one for validation and one for the test; a hash of its path says which. The text
    differs between versions of Python, and so do results.

    Raises:
        ValueError: If this Python came without sources.
    """

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Encodes the files."""
        return tokenized(self, tokenizer or BytePairTokenizer())

    def documents(self, split: str) -> Iterator[str]:
        """Reads the files of a split."""
        for path in self._files[split]:
            yield path.read_text(encoding="utf-8", errors="replace")

    def digest(self, split: str) -> str:
        """Identifies the files of a split by their content."""
        return fingerprint(*self._files[split])

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """Lists the files of each split, in the order of their paths."""
        folder = Path(sysconfig.get_path("stdlib"))
        files: dict[str, list[Path]] = {"train": [], "val": [], "test": []}
        for path in sorted(folder.rglob("*.py")):
            place = path.relative_to(folder)
            if not PACKAGES & set(place.parts):
                files[_split(place.as_posix())].append(path)
        if not all(files.values()):
            raise ValueError(
                f"PythonFiles: {str(folder)!r} holds no sources; use TextFiles with other text."
            )
        return files


def _split(place: str) -> str:
    part = int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], "big") % PARTS
    return {0: "val", 1: "test"}.get(part, "train")
