"""Regression problems: features with one real outcome each, from anywhere or from a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.distributions import Distribution

from components.supports import Interval
from framework.data.cache import fingerprint
from framework.data.files import existing_file
from framework.data.precision import too_coarse
from framework.data.table_file import TableFile, table_path


class Observations(NamedTuple):
    """Features and outcomes of a split."""

    features: Tensor  # [N, F] float32
    outcome: Tensor  # [N] float32, NaN where unknown
    names: Sequence[Any] = ()  # what the source calls each of the N, nothing if they have no names


class Problem(ABC):
    """Where features and outcomes come from."""

    @abstractmethod
    def samples(self) -> dict[str, Observations]:
        """Draws or reads the observations of "train", "val" and "test"."""

    @abstractmethod
    def support(self, train: Observations) -> Interval:
        """Returns the range of outcomes that a head should cover."""

    @abstractmethod
    def truth(self, features: Tensor) -> Distribution | None:
        """Returns the true distribution for features `[..., F]`, `None` if it is not known."""

    def unseen(self) -> Observations | None:
        """Reads the observations to predict, `None` if they are those to test on, as here."""
        return None

    def scales(self) -> dict[str, list[Any]]:
        """Returns how features are scaled, as plain data; here they are not."""
        return {}

    def restore(self, scales: Mapping[str, Sequence[Any]]) -> None:
        """Lets features be scaled as those of a checkpoint were.

        Args:
            scales: What `scales` returned; empty if unknown.

        Raises:
            ValueError: If the features are others.
        """
        if scales:
            raise ValueError(
                f"{type(self).__name__} does not scale features, but those of the model were "
                "scaled; choose a source like the one that it was trained on."
            )

    def mean(self, features: Tensor) -> Tensor | None:
        """Returns the true mean `[...]` for features `[..., F]`, `None` if not known."""
        distribution = self.truth(features)
        return None if distribution is None else distribution.mean


class Table(Problem):
    """Reads features and outcome from the columns of a file, one observation a row.

    Features are standardized with mean and standard deviation of the training rows, or of those
    that the model of a checkpoint was trained on; the outcome keeps its unit.

    Args:
        path: A `.csv` (also compressed, such as `.csv.gz`), `.parquet`, `.arrow` or `.feather`
            file; in Python a pandas `DataFrame`, too.
        target: Column of the outcome.
        features: Columns of the features; all other columns if not given.
        val: Fraction of the rows for validation.
        test: Fraction of the rows for testing.
        seed: Seed of the split.
        low: Smallest outcome that heads cover, in the unit of the column; the smallest of the
            training rows if not given.
        high: Largest outcome that heads cover; the largest of the training rows if not given.
        drop_missing: Leave out rows in which a value is missing or infinite, rather than refuse
            them.
        id: Column that names the rows, by which predictions call them; they are called by their
            number in the file, from 1 and without the header, if not given.
        predict: Another file, whose rows are predicted, in place of the test rows. It needs the
            columns of the features, and that of `id`; outcomes are known or not.

    Raises:
        ValueError: If a file or a column is missing, a column does not hold numbers, a
            value is missing, or a split is empty.
    """

    def __init__(
        self,
        path: str,
        target: str,
        features: list[str] | None = None,
        val: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
        low: float | None = None,
        high: float | None = None,
        drop_missing: bool = False,
        id: str | None = None,
        predict: str | None = None,
    ) -> None:
        if not (val > 0 and test > 0 and val + test < 1):
            raise ValueError(
                f"Table: val={val} and test={test} are fractions of the rows; "
                "use positive ones that leave rows for training."
            )
        self.path = table_path(path, "Table: path")
        self.target, self.features = target, features
        self.fractions, self.seed, self.range = (val, test), seed, (low, high)
        self.drop_missing, self.id = drop_missing, id
        self.predict = None if predict is None else table_path(predict, "Table: predict")
        self._scales: dict[str, list[Any]] = {}

    def scales(self) -> dict[str, list[Any]]:
        """Returns how rows are split, and the features with mean and deviation of each."""
        if not self._scales:
            self.samples()
        return self._scales

    def restore(self, scales: Mapping[str, Sequence[Any]]) -> None:
        """Scales features by mean and deviation of the rows that a model was trained on.

        That they are the same features is checked once the file is read.
        """
        self._scales = {name: list(values) for name, values in scales.items()}

    def samples(self) -> dict[str, Observations]:
        """Reads the file, splits the rows and standardizes the features."""
        table = self._table(self.path, "path")
        columns = self._features(table)
        kept, values = self._complete(table, [self.target, *columns])
        if len(values) and too_coarse(values[:, 0], np.zeros(1, np.int64)).any():
            raise ValueError(
                f"Table: column {self.target!r} of {str(self.path)!r} varies by too little around "
                f"{values[:, 0].mean():g} for float32; subtract a constant from it."
            )
        order = np.random.default_rng(self.seed).permutation(len(values))
        sizes = [round(fraction * len(values)) for fraction in self.fractions]
        test, val, train = np.split(order, [sizes[1], sum(sizes)])
        if not all(map(len, (train, val, test))):
            raise ValueError(
                f"Table: {len(values)} rows of {str(self.path)!r} leave a split empty "
                f"({len(train)} to train, {len(val)} to validate, {len(test)} to test on); "
                "give more rows or other fractions."
            )
        split = [fingerprint(self.path), *self.fractions, self.seed]
        if self._scales:
            self._require_same(columns, split)
        else:
            mean, std = values[train, 1:].mean(0), values[train, 1:].std(0)
            self._scales = {
                "rows": split,
                "columns": columns,
                "mean": mean.tolist(),
                "std": np.where(std > 0, std, 1.0).tolist(),
            }
        names = self._names(table, kept)
        rows = {"train": train, "val": val, "test": test}
        return {
            split: self._scaled(values[chosen], [names[k] for k in chosen])
            for split, chosen in rows.items()
        }

    def unseen(self) -> Observations | None:
        """Reads the file to predict, `None` without one; the scales must be known."""
        if self.predict is None:
            return None
        table = self._table(self.predict, "predict")
        columns = list(self.scales()["columns"])
        self._require_features(self.features or columns)
        kept, features = self._complete(table, columns)
        if not len(kept):
            raise ValueError(
                f"Table: {str(self.predict)!r} has no row to predict; "
                "give at least one in which no feature is missing."
            )
        outcome = np.full(len(kept), np.nan)
        if self.target in table.columns:
            outcome = table.numbers(self.target)[kept]
        return self._scaled(np.column_stack([outcome, features]), self._names(table, kept))

    def support(self, train: Observations) -> Interval:
        """Returns the given range, or that of the training outcomes."""
        low, high = self.range
        low = train.outcome.min().item() if low is None else low
        high = train.outcome.max().item() if high is None else high
        if not low < high:
            raise ValueError(
                f"Table: column {self.target!r} of {str(self.path)!r} ranges from {low:g} to "
                f"{high:g} in the training rows; choose another target, or set low and high."
            )
        return Interval(low, high)

    def truth(self, features: Tensor) -> None:
        """Returns `None`: the true distribution of a table is unknown."""
        return None

    def _require_same(self, names: Sequence[str], split: Sequence[Any]) -> None:
        """Refuses other features than those of a checkpoint, and rows of one file split anew."""
        self._require_features(names)
        file, *options = self._scales["rows"]
        if file == split[0] and options != list(split[1:]):
            raise ValueError(
                f"Table: the rows of {str(self.path)!r} were split by val, test, seed = "
                f"{', '.join(map(str, options))} in training, and rows of training would be "
                "tested; drop these options."
            )

    def _require_features(self, names: Sequence[str]) -> None:
        trained = self._scales["columns"]
        if list(names) != trained:
            raise ValueError(
                f"Table: the features of {str(self.path)!r} are {', '.join(names)}, those of the "
                f"model {', '.join(trained)}; name the same ones with features."
            )

    def _table(self, path: Path, option: str) -> TableFile:
        texts = () if self.id is None else (self.id,)
        return TableFile(existing_file(path, f"Table: {option}"), texts)

    def _features(self, table: TableFile) -> list[str]:
        """Returns the columns of the features, those of the file unless they are given."""
        if self.features is not None:
            return list(self.features)
        return table.others(self.target, *(() if self.id is None else (self.id,)))

    def _names(self, table: TableFile, kept: NDArray[np.int64]) -> list[Any]:
        """Returns what rows are called: as in the column of names, or their numbers from 1."""
        if self.id is None:
            return [int(row) + 1 for row in kept]
        return list(table.names(self.id).iloc[kept])

    def _complete(
        self, table: TableFile, names: Sequence[str]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Reads columns as numbers; returns the complete rows, and their values."""
        values = np.column_stack([table.numbers(name) for name in names])
        bad = ~np.isfinite(values)
        if bad.any() and not self.drop_missing:
            row, column = np.argwhere(bad)[0]
            raise ValueError(
                f"Table: {table.place(names[column], bad[:, column])} is {values[row, column]}; "
                "correct it or set drop_missing to true."
            )
        kept = np.flatnonzero(~bad.any(1))
        return kept, values[kept]

    def _scaled(self, values: NDArray[np.float64], names: Sequence[Any]) -> Observations:
        """Standardizes rows `[N, 1 + F]` of outcome and features."""
        features = (values[:, 1:] - self._scales["mean"]) / self._scales["std"]
        outcome = torch.from_numpy(values[:, 0].copy()).float()
        return Observations(torch.from_numpy(features).float(), outcome, names)
