"""Linear regression of one number per row on the columns of a matrix, and how well it fits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.analysis.least_squares import LeastSquares, parts

LEAST = 5  # rows for each column
SEED = 0  # of the folds
COLLINEAR = 1e6  # condition beyond which single entries of a slope mean little


@dataclass(frozen=True, eq=False)
class Regression:
    """A linear regression, and how well it fits; float64, on the CPU.

    Args:
        slope: A, `[D]`.
        intercept: B.
        r2: Share of the variance that it explains in the rows that it was fitted to.
        adjusted_r2: The same, corrected for the number of columns.
        cross_validated_r2: The same in rows that it was not fitted to, over all folds; nan without
            folds.
        rmse: Root mean square of the residuals.
        deviation: Standard deviation of the target.
        condition: Largest over smallest singular value of the columns, each centered and of norm
            1.
        standard_errors: Of the slope, `[D]`, as if rows were independent.
        deviations: Standard deviation of each column, `[D]`.
        count: Number of rows, n.
    """

    slope: Tensor
    intercept: float
    r2: float
    adjusted_r2: float
    cross_validated_r2: float
    rmse: float
    deviation: float
    condition: float
    standard_errors: Tensor
    deviations: Tensor
    count: int

    @property
    def saliency(self) -> Tensor:
        """What each column contributes: slope times deviation, without sign, `[D]`."""
        return self.slope.abs() * self.deviations

    def predict(self, rows: Tensor) -> Tensor:
        """Returns A · row + B of rows `[N, D]`, `[N]` float64 on the CPU."""
        return torch.cat([part.cpu() @ self.slope for part in parts(rows)]) + self.intercept


def regress(rows: Tensor, target: Tensor, ridge: float = 0.0, folds: int | None = 5) -> Regression:
    r"""Regresses a target on the columns of a matrix and a constant.

    .. math:: \min_{A, B} \sum_n (y_n - A \cdot x_n - B)^2 + \lambda \, |S A|^2

    with S the norms of the centered columns. Where columns depend on each other, the slope is the
    shortest of the best ones. Folds are drawn with a seed of their own. R² is `nan` where the
    target is constant.

    Args:
        rows: `[n, D]`.
        target: `[n]`.
        ridge: Penalty λ, at least 0.
        folds: Parts, each of which is predicted from the others, at least 2; None for no
            cross-validation, which takes half of the time.

    Raises:
        ValueError: If there are fewer than 5 D rows, whose fit would say little, a number is not
            finite, or an option is out of its range.
    """
    _check(rows, target, ridge, folds)
    count, dim = rows.shape
    sums = list(_folds(rows, target, folds or 1))
    whole = LeastSquares.joined(sums)
    fit = whole.fit(ridge)
    left, variance = float(whole.residuals(fit)), float(whole.variation)
    noise, share = math.sqrt(left / (count - dim - 1)), left / variance if variance else math.nan
    return Regression(
        slope=fit.slope[:, 0].cpu(),
        intercept=float(fit.intercept),
        r2=1 - share,
        adjusted_r2=1 - share * (count - 1) / (count - dim - 1),
        cross_validated_r2=1 - _missed(sums, ridge) / variance if variance else math.nan,
        rmse=math.sqrt(left / count),
        deviation=math.sqrt(variance / count),
        condition=fit.condition,
        standard_errors=noise * fit.errors.cpu(),
        deviations=whole.norms.cpu() / math.sqrt(count),
        count=count,
    )


def _folds(rows: Tensor, target: Tensor, folds: int) -> Iterator[LeastSquares]:
    """Yields least squares over the rows of each fold."""
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED))
    for places in drawn.tensor_split(folds):
        fold = LeastSquares(rows.shape[1])
        fold.add(rows[places.to(rows.device)], target[places.to(target.device)])
        yield fold


def _missed(sums: list[LeastSquares], ridge: float) -> float:
    """Returns the sum of squares that is left in each fold by a fit to the others."""
    if len(sums) < 2:
        return math.nan
    missed = 0.0
    for k, own in enumerate(sums):
        others = LeastSquares.joined(sums[:k] + sums[k + 1 :])
        missed += float(own.residuals(others.fit(ridge)))
    return missed


def _check(rows: Tensor, target: Tensor, ridge: float, folds: int | None) -> None:
    count, dim = rows.shape
    if count < LEAST * dim:
        raise ValueError(
            f"regress: {count} rows are too few for {dim} columns, as any target is nearly linear "
            f"in them; use at least {LEAST * dim} rows, or fewer columns."
        )
    if not 0 <= ridge < math.inf:
        raise ValueError(f"regress: ridge={ridge} is no penalty; use 0 or a positive number.")
    if folds is not None and not 2 <= folds <= count:
        raise ValueError(f"regress: folds={folds} cannot be left out in turn; use 5, for example.")
    if not (rows.isfinite().all() and target.isfinite().all()):
        raise ValueError("regress: rows or target are not finite; leave such rows out.")
