"""Documents in local files: plain text, and JSON lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from framework.data.cache import fingerprint
from framework.data.files import matching_files
from framework.data.texts import AS_THEY_ARE, json_texts, read_text
from framework.data.tokens.corpora import TextCorpus
from framework.data.tokens.facts import ends_of, found_once

PART = 10  # every tenth document of a single file of JSON lines is held out


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
        return fingerprint(AS_THEY_ARE + part, *self.files[split])


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


def _content(path: Path) -> str:
    if path.suffix == ".gz":
        return fingerprint(*ends_of(path))
    return str(found_once(path, lambda: fingerprint(path), name="content"))
