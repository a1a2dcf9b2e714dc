"""Samples of real numbers: histograms and distinct values."""

from __future__ import annotations

import torch
from torch import Tensor

from components.supports import Interval

DECIMALS = 2  # of the numbers in a prompt: finer differences between samples do not count
SLACK = 1e-6  # of a cell: a written number such as -0.1 lies on a border but for rounding


def edges(interval: Interval, cells: int) -> Tensor:
    """Returns the borders of equal cells, `[cells + 1]`."""
    return torch.linspace(interval.low, interval.high, cells + 1)


def cell_fractions(samples: Tensor, borders: Tensor) -> Tensor:
    """Returns the fraction of samples in each of equal cells, lower border included.

    Args:
        samples: Numbers, `[N, ...]`; those outside the borders, and `nan`, are in no cell.
        borders: Borders of K cells, `[K + 1]`.

    Returns:
        Fractions `[..., K]`, whose sum is below 1 if some samples are in no cell.
    """
    cells = len(borders) - 1
    place = (samples - borders[0]) / (borders[-1] - borders[0]) * cells + SLACK
    each = torch.arange(cells, device=samples.device)
    return (place.floor().unsqueeze(-1) == each).float().mean(0)


def distinct(samples: Tensor) -> Tensor:
    """Counts the different numbers among samples `[N, ...]`, to two decimals: `[...]`.

    `nan` is not counted.
    """
    ordered = samples.round(decimals=DECIMALS).sort(0).values
    new = ordered.diff(dim=0) > 0
    return new.sum(0).float() + (~ordered[0].isnan()).float()
