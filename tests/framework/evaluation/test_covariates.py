"""Paths of series with covariates: step by step, and beyond the horizon of training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from components.backbones import Decoder, EncoderDecoder
from components.data import Covariate, CovariateBatch, SeriesBatch, SeriesSpec
from components.stems import SeriesStem
from components.supports import Interval
from framework.data import MeanScaling
from framework.data.series.windows import batch_of
from framework.evaluation.forecasting import Paths
from framework.evaluation.rolling import roll_forward
from tests.framework.evaluation.fakes import Gaussian

CONTEXT, WINDOW, HORIZON = 6, 3, 8
COLUMNS = (Covariate("price", "known", 1.0, 2.0), Covariate("rain", "past"))
SPEC = SeriesSpec(Interval(-5.0, 5.0), CONTEXT, WINDOW, 2, covariates=COLUMNS)


def series():
    """Two series, their covariates up to the horizon, and a batch of the first window."""
    generator = np.random.default_rng(0)
    past = generator.normal(10, 1, size=(2, CONTEXT))
    beside = torch.from_numpy(generator.normal(size=(2, CONTEXT + HORIZON, 2)))
    beside[:, CONTEXT:, 1] = torch.nan
    return past, beside


def window(past, size):
    blank = np.zeros((len(past), size))
    known = np.ones_like(past, dtype=bool)
    return batch_of(past, known, blank, blank > 0, np.zeros(len(past)), MeanScaling(), np.float64)


@pytest.mark.parametrize("kind", [Decoder, EncoderDecoder])
def test_every_window_reads_the_covariates_of_its_time(kind):
    """Without noise, against whole passes for every value, of windows that move."""
    torch.manual_seed(0)
    backbone = kind(dim=8, depth=1, heads=2).double().eval().requires_grad_(False)
    stem, head = SeriesStem(8, SPEC).double().requires_grad_(False), Gaussian(0.7, 1e-12)
    past, beside = series()
    found = roll_forward(
        *(stem, backbone, head, window(past, WINDOW)),
        *(Paths(3, at_once=2), HORIZON, MeanScaling(), beside),
    )
    values = past
    for done in range(0, HORIZON, WINDOW):
        size = min(WINDOW, HORIZON - done)
        batch = window(values[:, -CONTEXT:], size)
        batch = CovariateBatch(*batch, beside[:, done : done + CONTEXT + size])
        batch = batch._replace(weight=torch.ones_like(batch.weight))
        for h in range(size):
            mean = head(backbone(stem(batch))).mean[:, h]
            batch.target[:, h] = (batch.loc + batch.scale * mean[:, None])[:, 0]
        values = np.concatenate([values, batch.target.numpy()], 1)
    expected = torch.from_numpy(values[:, CONTEXT:])[:, None].expand_as(found)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    changed = beside.clone()
    changed[:, -1, 0] += 10
    other = roll_forward(
        *(stem, backbone, head, window(past, WINDOW)),
        *(Paths(3, at_once=2), HORIZON, MeanScaling(), changed),
    )
    assert torch.equal(other[..., :-1], found[..., :-1])
    assert (other[..., -1] != found[..., -1]).all()


def test_a_batch_without_covariates_stays_one():
    past, _ = series()
    assert type(window(past, 2)) is SeriesBatch
    assert replace(SPEC, covariates=()) == SeriesSpec(Interval(-5.0, 5.0), CONTEXT, WINDOW, 2)
