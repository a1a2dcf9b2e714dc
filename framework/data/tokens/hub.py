"""Corpora in the formats of Hugging Face `datasets`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from glob import escape, glob
from pathlib import Path
from typing import Any

from framework.data.cache import fingerprint
from framework.data.texts import text_of
from framework.data.tokens.corpora import TextCorpus


class HubText(TextCorpus):
    """A text column of a data set that `datasets` can load, from the hub or from local files.

    Args:
        path: Name on the hub such as "Salesforce/wikitext", or of a builder such as "json",
            "parquet" or "text".
        name: Configuration of the data set.
        data_files: Local files of each split, for a builder.
        column: Name of the column with the text.
        train: Split to train on; slices such as "train[:95%]" are allowed.
        val: Split to validate on.
        test: Split to test on; if not given, the validation split.

    Raises:
        ValueError: When it is read, if the data set, a split or the column cannot be found.
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
    ) -> None:
        self.path, self.name, self.data_files, self.column = path, name, data_files, column
        self.splits = {"train": train, "val": val, "test": test or val}
        self.loaded: dict[str, Any] = {}

    def documents(self, split: str) -> Iterable[str]:
        """Reads the rows of a split, one document each."""
        return _column(self._load(split), self.column, self.path)

    def digest(self, split: str) -> str:
        """Identifies the rows of a split by the fingerprint that `datasets` keeps."""
        return fingerprint(str(self._load(split)._fingerprint), self.column)

    def _load(self, split: str) -> Any:
        import datasets

        if split not in self.loaded:
            files = self._files()
            try:
                self.loaded[split] = datasets.load_dataset(
                    self.path,
                    self.name,
                    data_files=files,
                    split=self.splits[split],
                    **self._options(),
                )
            except (ValueError, OSError, RuntimeError, datasets.exceptions.DatasetsError) as error:
                # a RuntimeError: the data set is a script, and scripts are no longer run
                raise ValueError(
                    f"{type(self).__name__}: the split {self.splits[split]!r} of "
                    f"path={self.path!r} cannot be loaded; check the names ({_reason(error)})."
                ) from error
        return self.loaded[split]

    def _options(self) -> dict[str, Any]:
        """Returns how the data set is loaded."""
        return {}

    def _files(self) -> dict[str, str] | None:
        """Returns the files; a path that exists is taken as it is, even if it is a pattern too."""
        if self.data_files is None:
            return None
        files = {
            split: escape(path) if Path(path).is_file() else path
            for split, path in self.data_files.items()
        }
        self._require_apart(files)
        return files

    def _require_apart(self, files: Mapping[str, str]) -> None:
        """Refuses files of the training split that are those of another one, too."""
        taken: dict[Path, str] = {}
        for split, pattern in files.items():
            for path in map(Path, glob(pattern, recursive=True)):
                other = taken.setdefault(path.resolve(), split)
                if other != split and self.splits["train"] in (other, split):
                    raise ValueError(
                        f"{type(self).__name__}: data_files give {str(path)!r} to {other} and to "
                        f"{split}; give each file to one of them."
                    )


class SavedText(TextCorpus):
    """A text column of a data set that was written with `save_to_disk` of `datasets`.

    Args:
        path: The folder, with a split for training, validation and, if wanted, test.
        column: Name of the column with the text.
        train: Name of the split to train on.
        val: Name of the split to validate on.
        test: Name of the split to test on; if not given, the validation split.

    Raises:
        ValueError: If the folder, a split or the column is missing.
    """

    def __init__(
        self,
        path: str,
        column: str = "text",
        train: str = "train",
        val: str = "validation",
        test: str | None = None,
    ) -> None:
        import datasets

        try:
            saved = datasets.load_from_disk(path)
        except FileNotFoundError as error:
            raise ValueError(
                f"SavedText: path={path!r} was not written by save_to_disk; check the path."
            ) from error
        splits = saved if isinstance(saved, Mapping) else {"train": saved}
        names = {"train": train, "val": val, "test": test or val}
        missing = sorted(set(names.values()) - set(splits))
        if missing:
            raise ValueError(
                f"SavedText: {path!r} has the splits {sorted(splits)}, not {missing}; "
                "name those to use as train, val and test."
            )
        self.path, self.column = path, column
        self.splits = {split: splits[name] for split, name in names.items()}

    def documents(self, split: str) -> Iterable[str]:
        """Reads the rows of a split, one document each."""
        return _column(self.splits[split], self.column, self.path)

    def digest(self, split: str) -> str:
        """Identifies the rows of a split by the fingerprint that `datasets` keeps."""
        return fingerprint(str(self.splits[split]._fingerprint), self.column)


def no_column(names: Sequence[str], column: str, path: str) -> ValueError:
    """Returns the error of a data set that has other columns."""
    return ValueError(
        f"The data set {path!r} has the columns {list(names)}, not {column!r}; "
        "name the one with the text as column."
    )


def _column(rows: Any, column: str, path: str) -> Iterator[str]:
    if column not in rows.column_names:
        raise no_column(rows.column_names, column, path)
    number = 0
    try:
        for number, row in enumerate(rows.select_columns([column]), 1):
            yield text_of(row[column], column, f"The data set {path!r}: row {number}")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"The data set {path!r}: row {number + 1}: {column!r} is not UTF-8 text; convert it "
            "first."
        ) from error


def _reason(error: BaseException) -> str:
    """Returns the first line of what caused an error; outer ones say only where it was."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__)
