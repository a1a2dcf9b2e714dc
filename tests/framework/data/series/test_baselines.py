"""Simple forecasts against loops over the whole past of series with gaps."""

import numpy as np
import pytest

from framework.data.series.baselines import Past, drift, naive, score_baselines, seasonal_naive
from framework.data.series.module import SeriesData
from framework.data.series.panels import Arrays
from framework.data.series.recorded import Competition

HORIZON = 7
METRICS = {"mase"}


def gapped():
    """Series with more and more gaps, the first value of each observed, and where they are cut."""
    rng = np.random.default_rng(0)
    series = [rng.normal(size=n).cumsum() for n in rng.integers(HORIZON + 2, 40, size=20)]
    for k, values in enumerate(series):
        values[1:-1][rng.random(len(values) - 2) < k / 20] = np.nan
    length = np.array([len(values) for values in series])
    first = np.cumsum(length) - length
    return series, Past(np.concatenate(series), first, first + length - HORIZON)


def by_loops(past, season):
    """Seasonal naive, naive and drift, each step on its own."""
    seen = [k for k, value in enumerate(past) if np.isfinite(value)]
    forecasts = []
    for h in range(HORIZON):
        t = len(past) + h
        fitting = [k for k in seen if (t - k) % season == 0]
        last, begin = seen[-1], seen[0]
        slope = (past[last] - past[begin]) / (last - begin) if last > begin else 0.0
        line = past[last] + slope * (t - last)
        forecasts.append((past[fitting[-1] if fitting else last], past[last], line))
    return np.array(forecasts).T


@pytest.mark.parametrize("season", [1, 3, 5, 12])
def test_forecasts_equal_loops(season):
    series, past = gapped()
    got = (seasonal_naive(past, season, HORIZON), naive(past, HORIZON), drift(past, HORIZON))
    for k, values in enumerate(series):
        expected = by_loops(values[:-HORIZON], season)
        np.testing.assert_allclose([forecast[k] for forecast in got], expected)


def test_contexts_may_be_all_that_is_known():
    data = SeriesData(Arrays(gapped()[0]), context=6, horizon=1)
    dataset = data.dataset("test")
    batch = dataset.__getitems__(list(range(len(dataset))))
    lost = ~batch.observed.any(1)
    assert lost.any()
    for forecast in (seasonal_naive(Past.of(batch), 2, 1), drift(Past.of(batch), 1)):
        assert np.isfinite(forecast[~lost]).all()
    scores = score_baselines(dataset, lambda _, batch: Past.of(batch), 2).scores
    assert all(np.isfinite(list(metrics.values())).all() for metrics in scores.values())


def test_scores_are_of_the_windows_that_were_evaluated():
    series = [np.arange(30.0) ** k for k in (0, 1, 2)]
    series[1][27] = np.nan
    data = SeriesData(Arrays(series, season=4), context=5, horizon=2, windows=2, eval_batch_size=2)
    found = data.baselines("test", [9e9], METRICS).scores["naive"]
    square = series[2]
    errors = [0, 0, 0, 0, 1, 2, 3, *(square[26:28] - square[25]), *(square[28:] - square[27])]
    sizes = [1, 1, 1, 1, 26, 28, 29, *square[26:]]
    assert found["mae"] == pytest.approx(np.mean(errors))
    assert found["wql"] == pytest.approx(sum(errors) / sum(sizes))
    few = data.baselines("test", [1], METRICS).scores["naive"]
    assert few["mae"] == 0, "of the first batch, which is the constant series"


def test_what_is_not_reported_is_not_scored():
    data = SeriesData(Arrays([np.arange(30.0)]), horizon=2)
    assert data.baselines("val", [], {"nll"}).scores == {}


def test_short_pasts_and_constants_are_noted():
    data = SeriesData(Arrays([np.ones(30), np.ones(12)], season=9), horizon=2)
    found = data.baselines("test", [9e9], METRICS)
    assert [note[:30] for note in found.notes] == ["MASE is nan: every series repe"]
    short = data.baselines("val", [9e9], METRICS)
    assert short.notes[0] == (
        "The past of 1 of 2 windows is shorter than a season of 9 steps; their seasonal naive "
        "forecast is the naive one."
    )


def test_published_scores_are_reproduced_without_a_model():
    data = SeriesData(Competition("M3", "monthly"), context=24)
    scores = data.baselines("test", [9e9], METRICS).scores
    assert scores["seasonal naive"]["mase"] == pytest.approx(1.14620, rel=3e-4)
    assert scores["seasonal naive"]["wql"] == pytest.approx(0.14854, rel=3e-4)
