"""Covariates: columns beside the values of series that help to forecast them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data import Covariate

KINDS = ("known", "past", "static")
Integers = NDArray[np.int64]


class Column(NamedTuple):
    """A column of covariates: known in the future too, in the past only, or one of the series."""

    name: str
    kind: str  # of KINDS


class Covariates(NamedTuple):
    """Covariates of the series of a panel, on the same grid, from the first value of each on.

    Rows may follow the last value of a series: all columns that are known are known there.
    """

    columns: tuple[Column, ...]
    values: NDArray[np.float32]  # [M, F], all series; NaN where unknown
    first: Integers  # [series], where each begins
    length: Integers  # [series], at least that of the series

    def select(self, kept: NDArray[np.bool_]) -> Covariates:
        """Keeps some of the series, without copying values."""
        return self._replace(first=self.first[kept], length=self.length[kept])

    def window(
        self, series: Integers, cut: Integers, context: int, horizon: int
    ) -> NDArray[np.float32]:
        """Reads steps `[cut - context, cut + horizon)` of series `[B]`: `[B, C + H, F]`.

        NaN where a value is unknown at the cut; static ones are known everywhere.
        """
        ahead = np.arange(-context, horizon)
        step, end = cut[:, None] + ahead, self.length[series][:, None]
        there = (step >= 0) & (step < end)
        found = self.values[self.first[series][:, None] + step.clip(0, end - 1)]
        past, static = (self.mask(kind) for kind in ("past", "static"))
        visible = there[..., None] & (~past | (ahead < 0)[:, None]) | static
        return np.where(visible, found, np.nan)

    def mask(self, kind: str) -> NDArray[np.bool_]:
        """Returns which columns are of a kind, `[F]`."""
        return np.array([column.kind == kind for column in self.columns])

    def describe(self, end: Integers) -> tuple[Covariate, ...]:
        """Describes the columns, with mean and standard deviation up to steps `[series]`."""
        spans = zip(self.first, np.minimum(end, self.length).clip(1), strict=True)
        seen = np.concatenate([self.values[first : first + count] for first, count in spans])
        described = []
        for column, values in zip(self.columns, seen.T.astype(np.float64), strict=True):
            known = values[~np.isnan(values)]
            mean = float(known.mean()) if len(known) else 0.0
            std = float(known.std()) if len(known) else 0.0
            described.append(Covariate(*column, mean, std if std > 1e-7 * abs(mean) else 1.0))
        return tuple(described)
