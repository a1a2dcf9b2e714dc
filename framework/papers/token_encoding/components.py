"""Principal components of the rows of a read-out."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import NamedTuple

import torch
from torch import Tensor

from framework.papers.token_encoding.parts import mean, parts


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
    middle = mean(rows)
    products = reduce(add, ((part - middle).T @ (part - middle) for part in parts(rows)))
    values, vectors = torch.linalg.eigh(products)
    first = vectors.flip(1)[:, :count]  # [D, K]
    signs = first.gather(0, first.abs().argmax(0, keepdim=True)).sign()
    scores = torch.cat([(part - middle) @ (first * signs) for part in parts(rows)])
    shares = (values.flip(0)[:count] / values.sum()).tolist()
    return Components(scores.cpu(), shares)
