"""Mixtures against the parts that they are made of."""

import numpy as np
import pytest

from framework.data.series.panels import Arrays
from framework.papers.chronos.mixup import TSMixup


def draws(source, count):
    source.open()
    return [source.draw(np.random.default_rng(k)) for k in range(count)]


def test_a_mixture_of_one_is_a_stretch_by_its_mean_size():
    series = np.random.default_rng(0).normal(size=50)
    for drawn in draws(TSMixup([Arrays([series])], mixed=1, shortest=5, longest=12), 30):
        n = len(drawn)
        assert 5 <= n <= 12
        segments = np.lib.stride_tricks.sliding_window_view(series.astype(np.float32), n)
        scaled = segments / np.abs(segments).mean(1, keepdims=True)
        assert np.abs(scaled - drawn).max(1).min() < 1e-6


@pytest.mark.slow
def test_weights_are_those_of_a_dirichlet_distribution():
    """Levels ±1 show which source a segment is from; a mixture of both has the level 2 w - 1.

    The variance of a weight of Dirichlet(a, a) is 1 / (4 (2a + 1)).
    """
    source = TSMixup(
        [Arrays([np.ones(20)]), Arrays([-np.ones(20)])], mixed=2, shortest=4, longest=8
    )
    levels = np.array([drawn[0] for drawn in draws(source, 4000)])
    assert np.abs(levels).max() < 1 + 1e-9
    inner = levels[np.abs(levels) < 1 - 1e-9]
    # Two are mixed half of the time, and differ half of those.
    assert len(inner) / len(levels) == pytest.approx(1 / 4, abs=0.025)
    assert inner.mean() == pytest.approx(0, abs=0.06)
    assert inner.var() == pytest.approx(1 / (2 * 1.5 + 1), rel=0.12)


def test_sources_are_drawn_by_a_power_of_their_size():
    sources = [Arrays([np.ones(90)]), Arrays([-np.ones(10)])]
    for tempering, share in ((0.0, 1 / 2), (0.5, 3 / 4), (1.0, 9 / 10)):
        source = TSMixup(sources, mixed=1, shortest=2, longest=4, tempering=tempering)
        levels = np.array([drawn[0] for drawn in draws(source, 1000)])
        assert (levels > 0).mean() == pytest.approx(share, abs=0.06)


def test_short_series_are_used_whole_and_only_with_longer_ones():
    short, long = np.arange(1.0, 7.0), np.arange(1.0, 101.0)
    source = TSMixup([Arrays([short]), Arrays([long])], shortest=50, longest=60, tempering=0.0)
    lengths = {len(drawn) for drawn in draws(source, 200)}
    assert lengths - set(range(50, 61)) == {6}


def test_a_value_is_missing_where_it_is_in_a_part():
    gap = np.arange(1.0, 11.0)
    gap[3] = np.nan
    source = TSMixup([Arrays([gap]), Arrays([np.arange(1.0, 11.0)])], shortest=10, longest=10)
    gaps = [np.flatnonzero(np.isnan(drawn)).tolist() for drawn in draws(source, 60)]
    assert {tuple(places) for places in gaps} == {(), (3,)}


def test_a_stretch_without_a_value_is_drawn_again():
    series = np.full(400, np.nan)
    series[[0, -1]] = 1.0
    source = TSMixup([Arrays([series])], shortest=8, longest=8)
    assert all(np.isfinite(drawn).any() for drawn in draws(source, 5))
