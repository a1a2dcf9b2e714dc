"""Simple forecasts of series (seasonal naive, naive, drift), and their scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from components.data import SeriesBatch
from components.metrics.forecasting import LEVELS, score
from framework.data.baselines import Baselines
from framework.data.module import Dataset

AT_ONCE = 1024  # windows that are scored together
METRICS = ("mase", "mase_pooled", "wql", "mae")  # the intervals of points are empty

Integers = NDArray[np.int64]
Values = NDArray[np.floating[Any]]


Forecasts = Callable[[SeriesBatch], Mapping[str, Tensor]]
"""Makes forecasts by name, quantiles `[B, H, 9]` at `LEVELS`, from the contexts of a batch."""


def _none(batch: SeriesBatch) -> Mapping[str, Tensor]:
    return {}


class Past(NamedTuple):
    """The past of windows, as parts of one array; it begins with an observed value."""

    values: Values  # [N], NaN where missing
    first: Integers  # [B], where each past begins
    cut: Integers  # [B], where each ends, and the future begins

    @classmethod
    def of(cls, batch: SeriesBatch) -> Past:
        """Takes the contexts of a batch for the past."""
        values = np.where(batch.observed, batch.past.double(), np.nan)
        begin = np.arange(len(values)) * values.shape[1]
        first = begin + batch.observed.numpy().argmax(1)
        return cls(values.reshape(-1), first, begin + values.shape[1])


def seasonal_naive(past: Past, season: int, horizon: int) -> Values:
    """Repeats the last season, `[B, H]`.

    A missing value is taken from the season before it. Where no season has it, or the past is
    shorter than a season, the last observed value replaces it.

    Args:
        past: What is known.
        season: Steps in a season.
        horizon: Steps to forecast.
    """
    latest = past.cut[:, None] - season + np.arange(season)
    latest = _walk_back(past.values, latest, past.first[:, None], season)
    found = latest >= past.first[:, None]
    values = np.where(found, past.values[latest], naive(past, season))
    return np.tile(values, -(-horizon // season))[:, :horizon]


def naive(past: Past, horizon: int) -> Values:
    """Repeats the last observed value, `[B, H]`."""
    return np.repeat(past.values[_last(past)][:, None], horizon, axis=1)


def drift(past: Past, horizon: int) -> Values:
    """Continues the line through the first and the last observed value, `[B, H]`.

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", section 5.2.
    """
    last = _last(past)
    rise = past.values[last] - past.values[past.first]
    slope = rise / np.maximum(last - past.first, 1)
    steps = past.cut[:, None] + np.arange(horizon) - last[:, None]
    return np.asarray(past.values[last][:, None] + slope[:, None] * steps)


def score_baselines(
    windows: Dataset,
    past: Callable[[list[int], SeriesBatch], Past],
    season: int,
    number: int | None = None,
    more: Forecasts = _none,
) -> Baselines:
    """Scores simple forecasts of the first windows: seasonal naive, naive and drift.

    Their quantiles are the point that they forecast at all levels, as in the evaluation of
    Chronos; so their WQL is their absolute error relative to the size of what is forecast.

    Args:
        windows: Batches of series.
        past: Returns the past of the windows of given numbers, which make a given batch.
        season: Steps in a season.
        number: How many of the windows; all if not given.
        more: Makes further forecasts.
    """
    number = len(windows) if number is None else number
    sums: dict[str, dict[str, Tensor]] = {}
    short = 0
    for begin in range(0, number, AT_ONCE):
        indices = list(range(begin, min(begin + AT_ONCE, number)))
        batch: SeriesBatch = windows.__getitems__(indices)
        known = past(indices, batch)
        short += int((known.cut - known.first < season).sum())
        points = _forecasts(known, season, batch.target.shape[1])
        quantiles = {name: _repeated(each) for name, each in points.items()}
        quantiles.update(more(batch))
        for name, forecast in quantiles.items():
            totals = sums.setdefault(name, {})
            for metric, total in _score(forecast, batch).items():
                totals[metric] = totals.get(metric, torch.zeros(2, dtype=torch.float64)) + total
    scores = {
        name: {metric: _ratio(total) for metric, total in totals.items()}
        for name, totals in sums.items()
    }
    return Baselines(scores, _notes(scores, short, number, season))


def _forecasts(past: Past, season: int, horizon: int) -> dict[str, Values]:
    return {
        "seasonal naive": seasonal_naive(past, season, horizon),
        "naive": naive(past, horizon),
        "drift": drift(past, horizon),
    }


def _repeated(forecast: Values) -> Tensor:
    """Returns points `[B, H]` as quantiles at all levels, `[B, H, 9]`."""
    points = torch.from_numpy(np.nan_to_num(forecast.astype(np.float64)))
    return points[..., None].expand(*points.shape, len(LEVELS))


def _score(quantiles: Tensor, batch: SeriesBatch) -> dict[str, Tensor]:
    """Sums numerators and denominators of the metrics of a batch, `[2]` each."""
    exact = type(batch)(*(field.double() for field in batch))
    ratios = score(quantiles, exact)
    return {name: torch.stack([part.double().sum() for part in ratios[name]]) for name in METRICS}


def _notes(scores: dict[str, dict[str, float]], short: int, number: int, season: int) -> list[str]:
    notes = []
    if short:
        notes.append(
            f"The past of {short} of {number} windows is shorter than a season of {season} steps; "
            "their seasonal naive forecast is the naive one."
        )
    if any(np.isnan(metrics["mase"]) for metrics in scores.values()):
        notes.append(
            "MASE is nan: every series repeats itself exactly before its windows, which leaves no "
            "error to compare with."
        )
    return notes


def _last(past: Past) -> Integers:
    """Finds the last observed value, `[B]`."""
    last = _walk_back(past.values, past.cut - 1, past.first, 1)
    return np.maximum(last, past.first)  # of a past that has none


def _walk_back(values: Values, at: Integers, first: Integers, stride: int) -> Integers:
    """Steps back to an observed value; to before `first` where there is none."""
    at, first = (x.copy() for x in np.broadcast_arrays(at, first))
    missing = np.arange(at.size)
    flat, bound = at.reshape(-1), first.reshape(-1)
    while len(missing := missing[flat[missing] >= bound[missing]]):
        missing = missing[np.isnan(values[flat[missing]])]
        flat[missing] -= stride
    return at


def _ratio(sums: Tensor) -> float:
    numerator, denominator = sums.tolist()
    return numerator / denominator if denominator else float("nan")
