"""Metrics of forecasts against those that gluonts 0.17.0 computed on the same rows.

MASE and WQL with `evaluate_forecasts(..., axis=None, seasonality=3)` of `gluonts.model`, metrics
`MASE()`, `MAE("0.5")` and `MeanWeightedSumQuantileLoss(LEVELS)`; then with `Evaluator(LEVELS,
seasonality=3)` of `gluonts.evaluation`. Forecasts were objects `QuantileForecast`.
"""

import numpy as np
import pytest
import torch

from components.data import SeriesBatch
from components.metrics.forecasting import LEVELS, score

NAN = float("nan")
SEASON, HORIZON = 3, 4
SERIES = [
    [3, 5, 2, 4, 6, 1, 3, 7, 2, 5, 4, 6, 3, 8],
    [10, 12, 9, 11, NAN, 13, 10, 12, 14, 9, 11, 15, 12, 13, NAN, NAN, 16],
    [-1, 2, 1, NAN, 3, 0.5],  # a past that is shorter than the season
    [100, 104, 98, 101, 105, 99, 102, 106, 97, 103, NAN, 108, 110],
]
MEDIAN = [[4, 5, 3, 6], [12, 13, 12, 14], [1, 1, 2, 0], [101, 104, 100, 103]]
SPREAD = [1.5, 2.0, 0.5, 4.0]
OFFSETS = [-1.3, -0.8, -0.5, -0.2, 0.1, 0.3, 0.5, 0.9, 1.4]
POOLED = {"mase_pooled": 1.5209325397, "mae": 1.9041666667, "wql": 0.0496286433}
BY_SERIES = {"mase": 1.5329117063, "wql": 0.0496286433}


def naive_error(past):
    lag = SEASON if len(past) > SEASON else 1
    return np.nanmean([abs(past[t] - past[t - lag]) for t in range(lag, len(past))])


def rows():
    """The futures, their weights, and the errors of the naive forecast of the pasts."""
    future = torch.tensor([series[-HORIZON:] for series in SERIES], dtype=torch.float64)
    weight = future.isfinite().double()
    error = torch.tensor([[naive_error(series[:-HORIZON])] for series in SERIES])
    none = torch.zeros(len(SERIES), 1)
    return SeriesBatch(none, none > 0, none, none + 1, error, future.nan_to_num(), weight)


def test_metrics_are_those_of_gluonts():
    offsets = torch.tensor(OFFSETS, dtype=torch.float64)
    spread = torch.tensor(SPREAD, dtype=torch.float64)[:, None, None]
    quantiles = torch.tensor(MEDIAN, dtype=torch.float64)[..., None] + spread * offsets
    assert quantiles.shape == (4, HORIZON, len(LEVELS))
    got = {name: float(n.sum() / d.sum()) for name, (n, d) in score(quantiles, rows()).items()}
    for name, expected in (POOLED | BY_SERIES).items():
        assert got[name] == pytest.approx(expected, abs=1e-6), name
    assert got["mase"] != pytest.approx(got["mase_pooled"], abs=1e-3), "as values are missing"
