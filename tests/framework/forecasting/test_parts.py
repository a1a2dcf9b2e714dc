"""Forecasts by every stem and backbone of series, and what is no trained forecaster."""

from functools import partial

import numpy as np
import pytest
import torch

import framework
from components.backbones.decoder import Decoder
from components.backbones.encoder_decoder import EncoderDecoder
from components.data import SeriesSpec
from components.heads.linear import LinearHead
from components.heads.parametric import NormalHead
from components.layers.positions import Learned
from components.stems import BinnedSeriesStem, SeriesStem
from components.supports import Interval
from framework.data import Arrays, MeanScaling
from framework.evaluation.forecasting import Paths
from framework.forecasting import future
from framework.modules import Forecaster
from tests.framework.modules.fakes import module as other_module
from tests.framework.modules.parts import options

CONTEXT, HORIZON = 12, 4
SPEC = SeriesSpec(
    Interval(-8.0, 8.0), CONTEXT, HORIZON, season=3, scaling=MeanScaling().describe()
)


class AsLong(Learned):
    """Learned positions for one window, and none more."""

    def __init__(self, dim, heads, head_dim):
        super().__init__(dim, heads, head_dim, length=CONTEXT + HORIZON)


BACKBONES = {
    "decoder": partial(Decoder, dim=16, depth=1, heads=2),
    "learned": partial(Decoder, dim=16, depth=1, heads=2, positions=AsLong),
    "encoder_decoder": partial(EncoderDecoder, dim=16, depth=1, heads=2),
}


def forecaster(stem=SeriesStem, head=NormalHead, backbone="decoder", spec=SPEC, **changes):
    torch.manual_seed(0)
    return Forecaster(**options(spec, stem, head, BACKBONES[backbone]), **changes)


def built(**parts):
    module = forecaster(**parts)
    module.configure_model()
    return module


def series(count=3):
    generator = np.random.default_rng(0)
    return Arrays([generator.normal(50, 5, size=4 * k + 1) for k in range(count)], season=3)


@pytest.mark.parametrize("stem", [SeriesStem, BinnedSeriesStem])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_part_forecasts_further_than_it_was_trained(stem, backbone):
    """Also where positions end with the window; series have 1, 5 and 9 steps."""
    frame = framework.forecast(built(stem=stem, backbone=backbone), series(), horizon=11, paths=3)
    assert np.isfinite(frame.to_numpy()[:, 3:].astype(float)).all()
    assert frame["time"].tolist() == [first + k for first in (2, 6, 10) for k in range(11)]


def test_paths_are_drawn_as_the_model_says():
    """From the most likely of its cells only, where it is told so."""
    module = built(head=partial(LinearHead, bins=16), paths=Paths(samples=3, top_k=1))
    frame = framework.forecast(module, Arrays([[1.0] * 20], season=3), horizon=1)
    assert frame["0.9"].item() - frame["0.1"].item() < 1  # a cell is one wide


def test_series_are_forecast_a_few_at_a_time(monkeypatch):
    module = built().train()
    monkeypatch.setattr(future, "SERIES", {"cpu": 2})
    seen = []

    def last(stem, backbone, head, batch, paths, horizon, scaling):
        assert not stem.training
        seen.append(len(batch.past))
        return batch.past[:, -1:, None].expand(-1, paths.samples, horizon)

    monkeypatch.setattr(future, "roll_forward", last)
    source = series(5)
    frame = framework.forecast(module, source, horizon=2)
    assert seen == [2, 2, 1]
    np.testing.assert_allclose(frame["mean"], np.repeat([v[-1] for v in source.values], 2))
    assert module.training


def test_what_is_no_trained_forecaster_is_one_sentence():
    with pytest.raises(ValueError, match="has no parameters yet; train it"):
        framework.forecast(forecaster(), series())
    with pytest.raises(ValueError, match="PredictiveModule forecasts no series; give a"):
        framework.forecast(other_module(), series())
    unscaled = SeriesSpec(Interval(-8.0, 8.0), CONTEXT, HORIZON, season=3)
    with pytest.raises(ValueError, match=r"does not record how .* give scaling, such as Mean"):
        framework.forecast(built(spec=unscaled), series())
    given = framework.forecast(built(spec=unscaled), series(), paths=2, scaling=MeanScaling())
    assert given.equals(framework.forecast(built(), series(), paths=2))
