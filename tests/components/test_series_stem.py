"""The stem of series against a loop: lags, missing values, units, sampling."""

import math

import pytest
import torch

from components.backbones import Decoder, EncoderDecoder
from components.data import (
    SeriesBatch,
    SeriesSpec,
)
from components.interfaces import Embedded
from components.stems import (
    BinnedSeriesStem,
    SeriesStem,
)
from components.supports import Interval

BATCH, DIM = 3, 16
SERIES = SeriesSpec(Interval(-5.0, 5.0), context=8, horizon=6, season=3)


def panel():
    observed = torch.rand(BATCH, SERIES.context) > 0.3
    observed[:, -1] = True
    observed[0, :3] = False  # padding
    return SeriesBatch(
        past=torch.randn(BATCH, SERIES.context) * observed,
        observed=observed,
        loc=torch.randn(BATCH, 1),
        scale=torch.rand(BATCH, 1) + 0.5,
        error=torch.ones(BATCH, 1),
        target=torch.randn(BATCH, SERIES.horizon),
        weight=torch.ones(BATCH, SERIES.horizon),
    )


def test_series_features_equal_a_loop():
    torch.manual_seed(0)
    stem, batch = SeriesStem(DIM, SERIES, lags=[2, 5]), panel()
    batch.weight[1, 2] = 0
    embedded = stem(batch)

    def feature(b, t, lag):
        source = t - lag
        if source < 0:
            return [0.0, 0.0]
        if source < SERIES.context:
            value, known = batch.past[b, source], batch.observed[b, source]
        else:
            value = batch.target[b, source - SERIES.context]
            known = batch.weight[b, source - SERIES.context] > 0
        z = math.asinh((value - batch.loc[b, 0]) / batch.scale[b, 0])
        return [z, 1.0] if known else [0.0, 0.0]

    def expected(linear, b, t):
        return linear(torch.tensor([x for lag in (1, 2, 5) for x in feature(b, t, lag)]))

    for b in range(BATCH):
        for c in range(SERIES.context):
            torch.testing.assert_close(embedded.context[b, c], expected(stem.past, b, c + 1))
        for h in range(SERIES.horizon):
            state = expected(stem.future, b, SERIES.context + h)
            torch.testing.assert_close(embedded.states[b, h], state)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SeriesStem(DIM, SERIES, lags=[2, 8]),
        lambda: BinnedSeriesStem(DIM, SERIES, bins=20),
    ],
    ids=["lags", "cells"],
)
def test_one_state_is_that_of_the_whole_sequence(make):
    torch.manual_seed(0)
    stem, batch = make(), panel()
    batch.weight[1, 2] = 0
    whole = stem(batch).states
    for h in range(SERIES.horizon):
        one = stem.state(batch, h)
        torch.testing.assert_close(one.states, whole[:, h : h + 1])
        assert one == Embedded(one.states)


def test_series_read_season_and_last_value_by_default():
    assert SeriesStem(DIM, SERIES).lags == [1, 3, 6]
    assert SeriesStem(DIM, SeriesSpec(Interval(0, 1), 4, 2, season=4)).lags == [1, 4]
    assert SeriesStem(DIM, SeriesSpec(Interval(0, 1), 4, 2, season=1)).lags == [1, 2]


def test_unknown_values_of_series_change_nothing():
    torch.manual_seed(0)
    stem, batch = SeriesStem(DIM, SERIES), panel()
    batch.weight[:, 1:3] = 0
    clean = stem(batch)
    nothing = torch.tensor(float("nan"))
    dirty = stem(
        batch._replace(
            past=torch.where(batch.observed, batch.past, nothing),
            target=torch.where(batch.weight > 0, batch.target, nothing),
        )
    )
    assert torch.equal(clean.states, dirty.states)
    assert torch.equal(clean.context, dirty.context)
    assert clean.context_mask[0].tolist() == [False] * 3 + [
        bool(o) for o in batch.observed[0, 3:].cumsum(0) > 0
    ]


def test_series_states_do_not_depend_on_the_unit():
    torch.manual_seed(0)
    stem, batch = SeriesStem(DIM, SERIES).double(), panel()
    batch = SeriesBatch(*(x.double() if x.is_floating_point() else x for x in batch))
    other = batch._replace(
        past=batch.past * 1e3 + 5,
        loc=batch.loc * 1e3 + 5,
        scale=batch.scale * 1e3,
        target=batch.target * 1e3 + 5,
    )
    torch.testing.assert_close(stem(other).states, stem(batch).states, rtol=0, atol=1e-10)


def test_sampling_by_cache_equals_the_forward_pass_on_the_sampled_path():
    torch.manual_seed(0)
    stem, batch = SeriesStem(DIM, SERIES).double(), panel()
    batch = SeriesBatch(*(x.double() if x.is_floating_point() else x for x in batch))
    for make in (Decoder, EncoderDecoder):
        backbone = make(DIM, 2, 2).double().eval()
        with torch.no_grad():
            cache, hidden = backbone.new_cache(BATCH, SERIES.context + SERIES.horizon), []
            path = torch.zeros_like(batch.target)
            for h in range(SERIES.horizon):
                inputs = stem(batch._replace(target=path))
                new = inputs._replace(states=inputs.states[:, h : h + 1])
                hidden.append(backbone(new if h == 0 else Embedded(new.states), cache))
                path[:, h] = hidden[-1].sum((1, 2))
            whole = backbone(stem(batch._replace(target=path)))
        torch.testing.assert_close(torch.cat(hidden, 1), whole, rtol=0, atol=1e-10)
