"""Principal components of the rows of a read-out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from framework.analysis.processes import exact

CHUNK = 1 << 22  # numbers that are held in float64 at once


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
    parts = torch.split(rows, max(1, CHUNK // rows.shape[1]))
    mean = torch.stack([exact(part).sum(0) for part in parts]).sum(0) / len(rows)
    products = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=mean.device)
    for part in parts:
        centered = exact(part) - mean
        products += centered.T @ centered
    values, vectors = torch.linalg.eigh(products)
    first = vectors.flip(1)[:, :count]  # [D, K]
    signs = first.gather(0, first.abs().argmax(0, keepdim=True)).sign()
    scores = torch.cat([(exact(part) - mean) @ (first * signs) for part in parts])
    shares = (values.flip(0)[:count] / values.sum()).tolist()
    return Components(scores.cpu(), shares)
