"""Principal components of the rows of a read-out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framework.analysis.least_squares import LeastSquares, parts


class Components(NamedTuple):
    """The directions in which rows differ most."""

    scores: Tensor  # [V, K] float64, of each row less the mean row
    shares: list[float]  # of the variance, K


def principal_components(rows: Tensor, count: int = 2) -> Components:
    """Finds the directions in which rows differ most, without drawing random numbers.

    The sign of a component is that which makes its largest entry positive.

    Args:
        rows: `[V, D]`.
        count: How many components, at most D.
    """
    sums = LeastSquares(rows.shape[1], outputs=0)
    sums.add(rows, rows[:, :0])
    _, singular, vectors = torch.linalg.svd(sums.factor[1:, 1:])
    first = vectors[:count].T  # [D, K]
    signs = first.gather(0, first.abs().argmax(0, keepdim=True)).sign()
    scores = torch.cat([(part - sums.means) @ (first * signs) for part in parts(rows)])
    variances = singular.square()
    return Components(scores.cpu(), (variances[:count] / variances.sum()).tolist())
