"""The seasonal naive forecast: what came one season ago comes again."""

from __future__ import annotations

import torch
from torch import Tensor

from components.data import SeriesBatch
from components.metrics.forecasting import absolute_scaled_error
from framework.data.series.windows import SeriesWindows

AT_ONCE = 1024  # series that are scored together


def seasonal_naive(past: Tensor, observed: Tensor, season: int, horizon: int) -> Tensor:
    """Repeats the last season of each past, `[B, C]`, over the horizon, `[B, H]`.

    A value that is missing is taken from the season before it. Where no season holds it, the last
    observed value stands for it, and 0 where there is none.
    """
    length = past.shape[1]
    steps = torch.arange(length, device=past.device)
    last = torch.where(observed, steps, -1).amax(1, keepdim=True)  # [B, 1]
    phase = (steps - length) % season  # of the step of the horizon that a past value predicts
    fitting = observed[:, None] & (phase == torch.arange(season, device=past.device)[:, None])
    latest = torch.where(fitting, steps, -1).amax(-1)  # [B, season]
    latest = torch.where(latest < 0, last, latest)
    values = torch.where(latest < 0, 0.0, past.gather(1, latest.clamp(min=0)))
    return values.repeat(1, -(-horizon // season))[:, :horizon]


def naive_scores(windows: SeriesWindows, season: int) -> tuple[float, float]:
    """Scores the seasonal naive forecast of windows: MASE, and WQL of a point at all levels.

    A point misses the levels q by |y - f| (1 - q) or |y - f| q; twice their mean is |y - f|, as
    levels lie evenly around a half. `nan` stands for a score of 0, which nothing compares with.
    """
    sums = torch.zeros(4, dtype=torch.float64)
    for begin in range(0, len(windows), AT_ONCE):
        indices = list(range(begin, min(begin + AT_ONCE, len(windows))))
        sums += _score(windows.__getitems__(indices), season)
    scaled, series, miss, size = sums.tolist()
    return _ratio(scaled, series), _ratio(miss, size)


def _score(batch: SeriesBatch, season: int) -> Tensor:
    """Sums scaled errors, series that have one, errors and absolute values of a batch."""
    target, weight = batch.target.double(), batch.weight.double()
    forecast = seasonal_naive(batch.past, batch.observed, season, target.shape[1]).double()
    scaled = absolute_scaled_error(forecast, target, batch.error.double(), weight)
    counts = scaled.denominator.sum(1)
    errors = scaled.numerator.sum(1) / counts.clamp(min=1e-9)
    miss, size = (target - forecast).abs() * weight, target.abs() * weight
    return torch.stack([errors.sum(), (counts > 0).double().sum(), miss.sum(), size.sum()])


def _ratio(error: float, size: float) -> float:
    return error / size if error and size else float("nan")
