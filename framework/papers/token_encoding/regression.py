"""Least squares of one number per row on the columns of a matrix, exact and in little memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import torch
from torch import Tensor

from framework.analysis.processes import exact
from framework.papers.token_encoding.parts import length, mean, parts
from framework.papers.token_encoding.products import Gram, Sums, Triangle

LEAST = 5  # rows for each column
SEED = 0  # of the folds
S = TypeVar("S", bound=Sums)
SINGLE, DOUBLE = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Regression:
    """A linear regression, and how well it fits; float64, on the CPU.

    Args:
        slope: A, `[D]`.
        intercept: B.
        r2: Share of the variance that it explains in the rows that it was fitted to.
        adjusted_r2: The same, corrected for the number of columns.
        cross_validated_r2: The same in rows that it was not fitted to, over all folds.
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
        """What each column carries: slope times deviation, without sign, `[D]`."""
        return self.slope.abs() * self.deviations

    def predict(self, rows: Tensor) -> Tensor:
        """Returns A · row + B of rows `[N, D]`, `[N]` float64 on the CPU."""
        return torch.cat([part.cpu() @ self.slope for part in parts(rows)]) + self.intercept


def regress(rows: Tensor, target: Tensor, ridge: float = 0.0, folds: int = 5) -> Regression:
    r"""Regresses a target on the columns of a matrix and a constant.

    .. math:: \min_{A, B} \sum_n (y_n - A \cdot x_n - B)^2
              + \lambda \, \frac{\mathrm{tr}\, G}{D} \, |S A|^2

    with G the products of the columns, each centered and divided by its norm S. They are solved by
    Cholesky's decomposition, and the slope is refined once with the residuals that it leaves.
    Where the columns nearly depend on each other, their triangular (QR) factor takes the place of
    the products, and the slope is the shortest of the best ones. Rows are taken to float64 in
    parts. Folds are drawn with a seed of their own. R² is `nan` where the target is constant.

    Args:
        rows: `[n, D]`.
        target: `[n]`.
        ridge: Penalty λ, at least 0.
        folds: Parts, each of which is predicted from the others, at least 2.

    Raises:
        ValueError: If there are fewer than 5 D rows, whose fit would say little, a number is not
            finite, or an option is out of its range.

    Source: refinement: Björck, "Numerical Methods for Least Squares Problems" (1996), 6.6.5.
    """
    _check(rows, target, ridge, folds)
    columns = _Columns(rows, target)
    drawn = torch.randperm(len(rows), generator=torch.Generator().manual_seed(SEED))
    places = drawn.tensor_split(folds)
    grams = [Gram.of(columns.at(place), ridge) for place in places]
    gram, others = _sums(grams)
    if all(sums.exact for sums in (gram, *others)):
        slope = gram.slope()
        slope = gram.refine(slope, columns.residuals(slope)[1])
        return _told(columns, slope, gram, _missed(grams, others))
    # Columns that depend on each other do so but for the rounding of their type.
    noise = max(DOUBLE * len(rows), 0.0 if rows.dtype == torch.float64 else SINGLE)
    triangles = [Triangle.of(columns.at(place), ridge, noise) for place in places]
    triangle, rest = _sums(triangles)
    return _told(columns, triangle.slope(), triangle, _missed(triangles, rest))


class _Columns:
    """The columns (1, x, y) less the means of x and y, which are read in parts.

    Args:
        rows: x, `[n, D]`.
        target: y, `[n]`.
    """

    def __init__(self, rows: Tensor, target: Tensor) -> None:
        self.rows, self.target = rows, exact(target).to(exact(rows[:0]).device)
        self.shift, self.level = mean(rows), self.target.mean()

    def at(self, places: Tensor) -> Iterator[Tensor]:
        """Yields columns `[N, D + 2]` float64 at some places."""
        for part in torch.split(places, length(self.rows)):
            x = exact(self.rows[part.to(self.rows.device)]) - self.shift
            y = (self.target[part.to(self.target.device)] - self.level)[:, None]
            yield torch.cat((torch.ones_like(y), x, y), 1)

    def residuals(self, slope: Tensor) -> tuple[float, Tensor]:
        """Returns the sum of squares of y - slope · x, and its products with x, `[D]`."""
        squares, products = 0.0, torch.zeros_like(slope)
        for part in self.at(torch.arange(len(self.rows))):
            x, left = part[:, 1:-1], part[:, -1] - part[:, 1:-1] @ slope
            squares += float(left.square().sum())
            products += x.T @ left
        return squares, products


def _sums(folds: list[S]) -> tuple[S, list[S]]:
    """Returns the sum of all folds, and for each one the sum of the others."""
    others = [reduce(add, folds[:k] + folds[k + 1 :]) for k in range(len(folds))]
    return folds[0] + others[0], others


def _missed(folds: Sequence[S], others: Sequence[S]) -> float:
    """Returns the sum of squares that is left in each fold by what the others say."""
    missed = 0.0
    for own, fitted in zip(folds, others, strict=True):
        slope = fitted.slope()
        constant = fitted.means[-1:] - fitted.means[:-1] @ slope
        missed += own.squares(torch.cat((-constant, -slope, torch.ones_like(constant))))
    return missed


def _told(columns: _Columns, slope: Tensor, sums: Sums, missed: float) -> Regression:
    count, dim = columns.rows.shape
    left, _ = columns.residuals(slope)
    total = float((columns.target - columns.level).square().sum())
    noise = math.sqrt(left / (count - dim - 1))
    share = left / total if total else math.nan
    return Regression(
        slope=slope.cpu(),
        intercept=float(columns.level - columns.shift @ slope),
        r2=1 - share,
        adjusted_r2=1 - share * (count - 1) / (count - dim - 1),
        cross_validated_r2=1 - missed / total if total else math.nan,
        rmse=math.sqrt(left / count),
        deviation=math.sqrt(total / count),
        condition=sums.condition,
        standard_errors=noise * sums.errors().cpu(),
        deviations=sums.norms.cpu() / math.sqrt(count),
        count=count,
    )


def _check(rows: Tensor, target: Tensor, ridge: float, folds: int) -> None:
    count, dim = rows.shape
    if count < LEAST * dim:
        raise ValueError(
            f"regress: {count} rows are too few for {dim} columns, as any target is nearly linear "
            f"in them; use at least {LEAST * dim} rows, or fewer columns."
        )
    if not 0 <= ridge < math.inf:
        raise ValueError(f"regress: ridge={ridge} is no penalty; use 0 or a positive number.")
    if not 2 <= folds <= count:
        raise ValueError(f"regress: folds={folds} cannot be left out in turn; use 5, for example.")
    if not (rows.isfinite().all() and target.isfinite().all()):
        raise ValueError("regress: rows or target are not finite; leave such rows out.")
