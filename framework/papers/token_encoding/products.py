"""What least squares needs to know of columns (1, x, y): their products, or a triangular factor.

Both add up over parts of the rows, so that neither all rows nor other folds are read again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import add
from typing import Protocol, Self

import torch
from torch import Tensor

LIMIT = 1e6  # of the condition, beyond which products of columns are not exact enough


class Sums(Protocol):
    """What both have in common."""

    def __add__(self, other: Self) -> Self: ...

    @property
    def means(self) -> Tensor:
        """Means of x and y, `[D + 1]`."""

    @property
    def norms(self) -> Tensor:
        """Norms of the centered columns x, `[D]`."""

    @property
    def condition(self) -> float:
        """Largest over smallest singular value of the standardized columns x."""

    def slope(self) -> Tensor:
        """Returns the slope `[D]`."""

    def errors(self) -> Tensor:
        """Returns standard errors of the slope `[D]` where the residuals have variance 1."""

    def squares(self, weights: Tensor) -> float:
        """Returns the sum of squares of the columns times weights `[D + 2]`."""


@dataclass(frozen=True, eq=False)
class Gram:
    """Products of the columns, fast.

    The slope errs by some ε κ², of which `refine` leaves ε κ² squared at most.

    Args:
        products: `[D + 2, D + 2]` float64.
        ridge: Penalty of the slope in units of the mean square of the standardized columns.
    """

    products: Tensor
    ridge: float = 0.0

    @classmethod
    def of(cls, parts: Iterable[Tensor], ridge: float) -> Gram:
        """Multiplies the columns of parts `[n, D + 2]` of the rows."""
        return cls(reduce(add, (part.T @ part for part in parts)), ridge)

    def __add__(self, other: Gram) -> Gram:
        return replace(self, products=self.products + other.products)

    @cached_property
    def means(self) -> Tensor:
        """Means of x and y, `[D + 1]`."""
        return self.products[0, 1:] / self.products[0, 0]

    @cached_property
    def _centered(self) -> Tensor:
        return self.products[1:, 1:] - self.products[1:, :1] * self.means

    @cached_property
    def norms(self) -> Tensor:
        """Norms of the centered columns x, `[D]`."""
        return self._centered.diagonal()[:-1].clamp(min=0).sqrt()

    @cached_property
    def _scale(self) -> Tensor:
        return _divisors(self.norms)

    @cached_property
    def _standardized(self) -> Tensor:
        return self._centered[:-1, :-1] / self._scale / self._scale[:, None]

    @cached_property
    def _squares(self) -> Tensor:
        squares: Tensor = torch.linalg.eigvalsh(self._standardized)
        return squares.clamp(min=0)

    @cached_property
    def _penalty(self) -> float:
        return self.ridge * float(self._standardized.trace()) / len(self._scale)

    @cached_property
    def _factor(self) -> Tensor:
        unit = torch.eye(len(self._scale), dtype=torch.float64, device=self._scale.device)
        factor: Tensor = torch.linalg.cholesky(self._standardized + self._penalty * unit)
        return factor

    @property
    def condition(self) -> float:
        """Largest over smallest singular value of the standardized columns x."""
        return _ratio(self._squares.sqrt())

    @property
    def exact(self) -> bool:
        """Whether the equations are conditioned well enough for products."""
        return _ratio((self._squares + self._penalty).sqrt()) <= LIMIT

    def slope(self) -> Tensor:
        """Returns the slope `[D]`."""
        return self.refine(torch.zeros_like(self._scale), self._centered[:-1, -1])

    def refine(self, slope: Tensor, gradient: Tensor) -> Tensor:
        """Returns a better slope `[D]`.

        Args:
            slope: The one so far.
            gradient: Products of centered x with the residuals that it leaves, `[D]`.
        """
        wanted = gradient / self._scale - self._penalty * self._scale * slope
        step = torch.cholesky_solve(wanted[:, None], self._factor)[:, 0]
        return slope + step / self._scale

    def errors(self) -> Tensor:
        """Returns standard errors of the slope `[D]` where the residuals have variance 1."""
        inverse = torch.cholesky_inverse(self._factor)
        return ((inverse @ self._standardized) * inverse).sum(1).sqrt() / self._scale

    def squares(self, weights: Tensor) -> float:
        """Returns the sum of squares of the columns times weights `[D + 2]`."""
        return float(weights @ self.products @ weights)


@dataclass(frozen=True, eq=False)
class Triangle:
    """The triangular factor of the columns: slower, and as exact as float64 allows.

    Where columns depend on each other, the slope is the shortest of the best ones.

    Args:
        factor: R of QR, `[at most D + 2, D + 2]` float64.
        ridge: As for `Gram`.
        resolution: What singular values are taken for 0, as a share of the largest.

    Source: Demmel et al., "Communication-optimal parallel and sequential QR and LU factorizations"
        (arXiv:0808.2664): QR of parts.
    """

    factor: Tensor
    ridge: float
    resolution: float

    @classmethod
    def of(cls, parts: Iterable[Tensor], ridge: float, resolution: float) -> Triangle:
        """Factors parts `[n, D + 2]` of the rows, one after the other."""
        factor: Tensor | None = None
        for part in parts:
            factor = _triangle(part if factor is None else torch.cat((factor, part)))
        assert factor is not None
        return cls(factor, ridge, resolution)

    def __add__(self, other: Triangle) -> Triangle:
        return replace(self, factor=_triangle(torch.cat((self.factor, other.factor))))

    @cached_property
    def means(self) -> Tensor:
        """Means of x and y, `[D + 1]`."""
        return self.factor[0, 1:] / self.factor[0, 0]

    @cached_property
    def norms(self) -> Tensor:
        """Norms of the centered columns x, `[D]`."""
        return self.factor[1:, 1:-1].square().sum(0).sqrt()

    @cached_property
    def _scale(self) -> Tensor:
        return _divisors(self.norms)

    @cached_property
    def _parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Singular value decomposition of the standardized columns x."""
        u, s, v = torch.linalg.svd(self.factor[1:, 1:-1] / self._scale, full_matrices=False)
        return u, s, v.T

    @cached_property
    def _inverse(self) -> Tensor:
        """What becomes of each singular value, `[D]`: s / (s² + penalty), or 0."""
        singular = self._parts[1]
        penalty = self.ridge * singular.square().mean()
        kept = singular > self.resolution * singular[0]
        return torch.where(kept, singular / (singular.square() + penalty), 0.0)

    @property
    def condition(self) -> float:
        """Largest over smallest singular value of the standardized columns x."""
        return _ratio(self._parts[1].flip(0))

    def slope(self) -> Tensor:
        """Returns the slope `[D]`."""
        u, _, v = self._parts
        slope = v @ (self._inverse * (u.T @ self.factor[1:, -1])) / self._scale
        free: Tensor = torch.linalg.qr(v[:, self._inverse == 0] / self._scale[:, None]).Q
        return slope - free @ (free.T @ slope)

    def errors(self) -> Tensor:
        """Returns standard errors of the slope `[D]` where the residuals have variance 1."""
        return (self._parts[2] * self._inverse).square().sum(1).sqrt() / self._scale

    def squares(self, weights: Tensor) -> float:
        """Returns the sum of squares of the columns times weights `[D + 2]`."""
        return float((self.factor @ weights).square().sum())


def _triangle(columns: Tensor) -> Tensor:
    factor: Tensor = torch.linalg.qr(columns, mode="r").R
    return factor


def _divisors(norms: Tensor) -> Tensor:
    """Returns what to divide columns by; a constant one stays."""
    return torch.where(norms > 0, norms, 1.0)


def _ratio(ascending: Tensor) -> float:
    low, high = ascending[0].item(), ascending[-1].item()
    return high / low if low > 0 else math.inf
