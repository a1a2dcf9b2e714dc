"""Least squares in float64 from a triangular factor of the rows, which are added in parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from framework.analysis.processes import exact, place, total

CHUNK = 1 << 22  # numbers of a part, 32 MB, unless a square matrix of that width is larger
SINGLE, DOUBLE = torch.finfo(torch.float32).eps, torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class LinearFit:
    """A linear fit of K outputs.

    Args:
        slope: `[D, K]`.
        intercept: `[K]`.
        errors: Standard errors of the slope where residuals have variance 1, `[D]`.
        condition: Largest over smallest singular value of the centered columns, each divided by
            its scale.
    """

    slope: Tensor
    intercept: Tensor
    errors: Tensor
    condition: float


class LeastSquares:
    """Least squares of K outputs on D inputs and a constant, over rows that are added in parts.

    Keeps the triangular (QR) factor of all rows, which is as exact as float64 allows and does not
    depend on how rows are divided into parts, folds or processes but for rounding. Values are
    taken less those of the first row, so that constant columns are known as such.

    Args:
        inputs: D.
        outputs: K.

    Source: Demmel et al., "Communication-optimal parallel and sequential QR and LU factorizations"
        (arXiv:0808.2664): QR of parts.
    """

    def __init__(self, inputs: int, outputs: int = 1) -> None:
        self.inputs, self.outputs, self._width = inputs, outputs, 1 + inputs + outputs
        self._factor = torch.zeros(self._width, self._width, dtype=torch.float64)
        self._origin = torch.zeros(self._width - 1, dtype=torch.float64)
        self._waiting: list[Tensor] = []  # rows [n, 1 + D + K] that are not in the factor yet
        self._empty, self._resolution = True, DOUBLE

    def add(self, inputs: Tensor, outputs: Tensor) -> None:
        """Adds rows, perhaps none; sums are kept on the device of the first ones.

        Args:
            inputs: `[n, D]`.
            outputs: `[n, K]`, or `[n]` of one output.
        """
        if inputs.dtype != torch.float64:
            self._resolution = SINGLE  # columns depend on each other but for their rounding
        size = _length(inputs)
        for x, y in zip(torch.split(inputs, size), torch.split(outputs, size), strict=True):
            x = exact(x)
            columns = torch.cat((x, exact(y).to(x.device).reshape(len(x), self.outputs)), 1)
            if self._empty:
                self._factor, self._origin = self._factor.to(x.device), self._origin.to(x.device)
                if len(columns):
                    self._origin, self._empty = columns[0], False
            constant = torch.ones_like(columns[:, :1])
            self._append(torch.cat((constant, columns - self._origin.to(x.device)), 1))

    @classmethod
    def joined(cls, several: Iterable[LeastSquares]) -> LeastSquares:
        """Returns least squares over the rows of several, which are left as they are."""
        first, *others = several
        whole = cls(first.inputs, first.outputs)
        for each in (first, *others):
            whole._resolution = max(whole._resolution, each._resolution)
            if each._empty:
                continue
            if whole._empty:
                whole._factor, whole._origin = whole._factor.to(each._factor), each._origin
                whole._empty = False
            factor = each.factor
            moved = torch.cat((factor.new_zeros(1), each._origin - whole._origin))
            whole._append(factor + factor[:, :1] * moved)
        return whole

    def over_processes(self) -> LeastSquares:
        """Returns least squares over the rows of all processes, the same in each.

        A process without rows of its own adds none, `[0, D]`, on the device of its group.
        """
        rank, world = place()
        if world == 1:
            return self
        table = self.factor.new_zeros(world, self._width + 1, self._width)
        table[rank, :-1], table[rank, -1, 1:] = self.factor, self._origin
        table[rank, -1, 0] = self._resolution
        several = []
        for own in total(table):
            several.append(LeastSquares(self.inputs, self.outputs))
            several[-1]._factor, several[-1]._origin = own[:-1], own[-1, 1:]
            several[-1]._empty = not own[0, 0]
            several[-1]._resolution = float(own[-1, 0])
        return LeastSquares.joined(several)

    @property
    def factor(self) -> Tensor:
        """Triangular factor of the columns (1, x, y) less the first row, `[1 + D + K, same]`."""
        self._reduce()
        return self._factor

    @property
    def count(self) -> int:
        """Number of rows."""
        return round(float(self.factor[0, 0].square()))

    @property
    def means(self) -> Tensor:
        """Means of the columns (x, y), `[D + K]`."""
        return self._origin + self.factor[0, 1:] / self.factor[0, 0]

    @property
    def norms(self) -> Tensor:
        """Norms of the centered columns x, `[D]`."""
        norms: Tensor = torch.linalg.vector_norm(self._centered[:, : self.inputs], dim=0)
        return norms

    @property
    def variation(self) -> Tensor:
        """Sums of squares of the centered outputs, `[K]`."""
        return self._centered[:, self.inputs :].square().sum(0)

    def fit(self, ridge: float = 0.0, scale: Tensor | None = None) -> LinearFit:
        """Solves for slopes and intercepts.

        Args:
            ridge: Penalty of the square of slope times scale, at least 0.
            scale: Of each column, `[D]`, positive; its norm if not given.
        """
        x, y = self._centered[:, : self.inputs], self._centered[:, self.inputs :]
        if scale is None:
            scale = torch.where(self.norms > 0, self.norms, 1.0)
        u, singular, v = torch.linalg.svd(x / scale, full_matrices=False)
        noise = 0.0 if ridge else max(self._resolution, DOUBLE * self.count) * singular[0]
        inverse = torch.where(singular > noise, singular / (singular.square() + ridge), 0.0)
        slope = v.T @ (inverse[:, None] * (u.T @ y)) / scale[:, None]
        free = torch.linalg.qr(v.T[:, inverse == 0] / scale[:, None]).Q
        slope = slope - free @ (free.T @ slope)  # the shortest of those that fit as well
        low, high = singular[-1].item(), singular[0].item()
        return LinearFit(
            slope,
            self.means[self.inputs :] - self.means[: self.inputs] @ slope,
            (v.T * inverse).square().sum(1).sqrt() / scale,
            high / low if low > 0 else math.inf,
        )

    def residuals(self, fit: LinearFit) -> Tensor:
        """Returns the sums of squares that a fit, also one of other rows, leaves, `[K]`."""
        x, y = self._origin[: self.inputs], self._origin[self.inputs :]
        constant = fit.intercept + x @ fit.slope - y
        unit = torch.eye(len(y), dtype=torch.float64, device=y.device)
        weights = torch.cat((-constant[None], -fit.slope, unit))
        return (self.factor @ weights).square().sum(0)

    @property
    def _centered(self) -> Tensor:
        return self.factor[1:, 1:]

    def _append(self, rows: Tensor) -> None:
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= max(self._width, CHUNK // self._width):
            self._reduce()

    def _reduce(self) -> None:
        if self._waiting:
            stacked = torch.cat((self._factor, *self._waiting))
            self._factor = torch.linalg.qr(stacked, mode="r").R
            self._waiting.clear()


def parts(rows: Tensor) -> Iterator[Tensor]:
    """Yields rows `[N, D]` in float64, a part at a time, so that all of them never are."""
    for part in torch.split(rows, _length(rows)):
        yield exact(part)


def _length(rows: Tensor) -> int:
    """Returns how many rows `[N, D]` are a part: at least as many as columns."""
    return max(rows.shape[1], CHUNK // rows.shape[1])
