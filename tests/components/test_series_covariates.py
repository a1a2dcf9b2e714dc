"""Covariates in the stem of series: at their time, standardized, and unknown where NaN."""

from dataclasses import replace

import pytest
import torch

from components.data import Covariate, CovariateBatch
from components.stems import BinnedSeriesStem, SeriesStem
from tests.components.test_series_stem import BATCH, DIM, SERIES, panel

COLUMNS = (Covariate("price", "known", 20.0, 4.0), Covariate("rain", "past", -1.0, 0.5))
SPEC = replace(SERIES, covariates=COLUMNS)
LENGTH = SERIES.context + SERIES.horizon


def with_covariates():
    values = torch.randn(BATCH, LENGTH, 2) * 5 + 10
    values[:, SERIES.context :, 1] = torch.nan
    values[1, 3, 1] = torch.nan
    return CovariateBatch(*panel(), values)


def built():
    torch.manual_seed(0)
    return SeriesStem(DIM, SPEC), with_covariates()


def test_features_are_those_of_the_time_that_is_predicted():
    """Added to what a stem without covariates makes, whose parameters are the same."""
    stem, batch = built()
    torch.manual_seed(0)
    plain = SeriesStem(DIM, SERIES)
    assert torch.equal(plain.past.weight, stem.past.weight)
    found, before = stem(batch), plain(panel_of(batch))
    weight = stem.covariates.projection.weight
    for b in range(BATCH):
        for t in range(1, LENGTH):
            features = [0.0] * 4
            for k, column in enumerate(COLUMNS):
                value = batch.covariates[b, t, k].item()
                if value == value:
                    features[k], features[2 + k] = (value - column.mean) / column.std, 1.0
            expected = weight @ torch.tensor(features)
            for part, time in ((found.context, t - 1), (found.states, t - SERIES.context)):
                other = before.context if part is found.context else before.states
                if 0 <= time < part.shape[1]:
                    torch.testing.assert_close(
                        part[b, time] - other[b, time], expected, rtol=1e-4, atol=1e-5
                    )


def test_one_state_is_that_of_the_whole_sequence():
    stem, batch = built()
    whole = stem(batch).states
    for h in range(SERIES.horizon):
        torch.testing.assert_close(stem.state(batch, h).states, whole[:, h : h + 1])


def panel_of(batch):
    return type(panel())(*batch[:-1])


def test_no_state_reads_a_later_covariate():
    stem, batch = built()
    before = stem(batch)
    at = SERIES.context + 3
    batch.covariates[:, at, 0] += 100
    after = stem(batch)
    changed = (after.states != before.states).any(-1).all(0)
    assert changed.tolist() == [h == 3 for h in range(SERIES.horizon)]
    assert torch.equal(after.context, before.context)


def test_what_reads_none_is_refused():
    stem, batch = built()
    with pytest.raises(ValueError, match="built for series with covariates, but these have none"):
        stem.state(panel_of(batch), 1)
    with pytest.raises(ValueError, match="built for series with covariates, but these have none"):
        stem(panel_of(batch))
    with pytest.raises(ValueError, match=r"reads no covariates, .* have price, rain; choose"):
        BinnedSeriesStem(DIM, SPEC)
