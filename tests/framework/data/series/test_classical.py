"""Theta and ETS: what they are given, what is kept, and what becomes of series without a model."""

import re

import numpy as np
import pytest
import torch

from framework.data.series import classical
from framework.data.series.baselines import Past, score_baselines
from framework.data.series.classical import ETS, LocalMethod, Theta, forecast_locally
from framework.data.series.module import SeriesData
from framework.data.series.panels import Arrays

METHODS = [Theta, ETS]
HORIZON = 6


class Tenths(LocalMethod):
    """Forecasts the last value times the level; seeds, and has no model of short pasts."""

    name = "tenths"

    def __init__(self):
        self.seen = []

    def key(self):
        return {"method": "tenths"}

    def forecast(self, past, season, horizon):
        self.seen.append(past.tolist())
        np.random.seed(0)
        if len(past) < 3:
            raise ZeroDivisionError
        return np.tile(past[-1] * np.arange(1, 10) / 10, (horizon, 1))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERTONE_CACHE", str(tmp_path / "cache"))


def past_of(*series):
    length = np.array([len(values) for values in series])
    cut = np.cumsum(length)
    return Past(np.concatenate(series), cut - length, cut)


def test_a_method_sees_each_past_whole_and_without_holes():
    method, nan = Tenths(), np.nan
    past = past_of(np.array([1.0, nan, 2.0, 5.0]), np.array([4.0, nan, nan]), np.array([7.0, 8.0]))
    found = forecast_locally([method], past, season=1, horizon=2)["tenths"]
    assert method.seen == [[1, 1.5, 2, 5], [4, 4, 4], [7, 8]]
    levels = torch.arange(1, 10, dtype=torch.float64) / 10
    torch.testing.assert_close(
        found[:2], torch.tensor([5.0, 4.0])[:, None, None] * levels.expand(2, 2, 9)
    )
    assert found[2].isnan().all()


def test_forecasts_are_kept_for_the_same_pasts_season_and_horizon():
    method, one, other = Tenths(), past_of(np.arange(5.0)), past_of(np.arange(6.0))
    first = forecast_locally([method], one, 1, 2)["tenths"]
    assert torch.equal(forecast_locally([method], one, 1, 2)["tenths"], first)
    assert len(method.seen) == 1
    for past, season, horizon in ((other, 1, 2), (one, 4, 2), (one, 1, 3)):
        assert forecast_locally([method], past, season, horizon)["tenths"].shape[1] == horizon
    assert len(method.seen) == 4


def test_the_global_generator_is_left_as_it_was():
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    forecast_locally([Tenths()], past_of(np.arange(5.0)), 1, 2)
    assert np.random.random() == expected


def test_seasonal_naive_replaces_what_has_no_model_and_a_note_says_so():
    data = SeriesData(Arrays([np.arange(9.0), [3.0, 5.0, 4.0]], season=2), context=4, horizon=1)
    windows = data.dataset("test")
    known = past_of(np.arange(8.0), np.array([3.0, 5.0]))
    found = score_baselines(
        windows,
        lambda *_: known,
        2,
        more=lambda batch, past: forecast_locally([Tenths()], past, 2, 1),
    )
    assert found.scores["tenths"]["mae"] == pytest.approx((abs(8 - 7 / 2) + abs(4 - 3)) / 2)
    assert found.notes[-1] == (
        "tenths has no forecast of 1 of 2 windows; that of seasonal naive replaces it."
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_missing_package_is_one_sentence(method, monkeypatch):
    def missing(name):
        raise classical.PackageNotFoundError(name)

    monkeypatch.setattr(classical, "version", missing)
    sentence = f"{method.name}.*is fitted by.*pip install 'overtone\\[classical\\]'\\.$"
    with pytest.raises(ValueError, match=re.compile(sentence, re.IGNORECASE)):
        method()


@pytest.fixture(params=METHODS)
def method(request):
    pytest.importorskip("statsforecast", reason="Theta and ETS need overtone[classical]")
    return request.param()


def walk(seed=0, count=60):
    return 100 + np.random.default_rng(seed).normal(size=count).cumsum()


def test_quantiles_increase_and_spread_with_the_horizon(method):
    found = method.forecast(walk(), 1, HORIZON)
    assert found.shape == (HORIZON, 9)
    assert (np.diff(found, axis=1) > 0).all()
    sizes = found[:, -1] - found[:, 0]
    assert sizes[-1] > sizes[0]


def test_of_a_random_walk_they_are_those_of_a_normal_distribution(method):
    """Its best forecast is the last value, and a step adds the variance of the innovations."""
    many = np.stack([method.forecast(walk(seed, 200), 1, HORIZON) for seed in range(20)])
    last = np.array([walk(seed, 200)[-1] for seed in range(20)])
    assert np.abs(many[:, 0, 4] - last).mean() < 0.3
    sizes = (many[:, :, -1] - many[:, :, 0]).mean(0) / (2 * 1.2816)
    np.testing.assert_allclose(sizes, np.sqrt(np.arange(1, HORIZON + 1)), rtol=0.2)


def test_a_season_is_found(method):
    """Of months that repeat with little noise, forecasts repeat too."""
    months = 100 + 30 * np.sin(np.arange(120) * np.pi / 6)
    noisy = months + np.random.default_rng(0).normal(size=120)
    found = method.forecast(noisy, 12, 12)
    np.testing.assert_allclose(found[:, 4], months[:12], atol=4)
    assert ((found[:, 0] < months[:12] + 2) & (found[:, -1] > months[:12] - 2)).all()
