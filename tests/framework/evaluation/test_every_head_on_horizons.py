"""Paths of a whole horizon from every head: each follows one level of what the head predicts."""

from functools import partial

import pytest
import torch
from torch import nn

from components.binnings import MixedBins
from components.data import SeriesBatch, SeriesSpec
from components.distributions import ErfWarp, TanhWarp
from components.heads import (
    EvenMixtureHead,
    FanHead,
    FourierHead,
    LinearHead,
    MixtureHead,
    NormalHead,
    QuantileHead,
    StudentTHead,
)
from components.interfaces import Backbone
from components.stems import PatchStem
from components.supports import Interval
from framework.evaluation.forecasting import Paths, sample_paths

DIM, CONTEXT, HORIZON = 8, 12, 5
HEADS = {
    "linear": LinearHead,
    "linear, unequal": partial(LinearHead, bins=MixedBins(64, low=-1.0, high=2.0)),
    "fan": FanHead,
    "fourier, cells": partial(FourierHead, frequencies=9, bins=40),
    "fourier, integrals": partial(FourierHead, frequencies=9, bins=40, mass="exact"),
    "fourier, density": partial(FourierHead, frequencies=9),
    "fourier, tanh": partial(FourierHead, frequencies=9, warp=TanhWarp),
    "fourier, erf": partial(FourierHead, frequencies=9, warp=ErfWarp),
    "normal": NormalHead,
    "student": StudentTHead,
    "mixture": MixtureHead,
    "even mixture": EvenMixtureHead,
    "quantiles": QuantileHead,
}


class Same(Backbone):
    """Returns the state that the stem makes of the past's last patch."""

    dim = DIM

    def forward(self, inputs, cache=None):
        return inputs.states + inputs.context[:, -1:]

    def new_cache(self, batch_size, length):
        raise AssertionError("nothing is cached")


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    past = torch.randn(3, CONTEXT, generator=generator).cumsum(1)
    one = torch.ones(3, 1)
    future = torch.full((3, HORIZON), torch.nan)
    return SeriesBatch(past, past == past, past[:, -1:], 2 * one, one, future, future == future)


def parts(head):
    """A stem, a backbone and a head whose predictions differ between series and steps."""
    torch.manual_seed(1)
    spec = SeriesSpec(Interval(-4.0, 4.0), CONTEXT, HORIZON, 1)
    made = PatchStem(DIM, spec, patch=4), Same(), HEADS[head](dim=DIM, support=spec.support)
    with torch.no_grad():
        for parameter in made[2].parameters():
            parameter += 0.5 * torch.randn_like(parameter)
    return nn.ModuleList(made)


@pytest.mark.parametrize("head", HEADS)
def test_paths_follow_levels_that_are_spread_evenly(head, batch):
    stem, backbone, readout = parts(head)
    with torch.inference_mode():
        paths = sample_paths(stem, backbone, readout, batch, Paths(samples=20, at_once=7), seed=0)
        prediction = readout(stem.readout(backbone(stem(batch))))
        scaled = (paths - batch.loc[:, None]) / batch.scale[:, None]
        levels = prediction.cdf(scaled.movedim(1, 0))  # [samples, series, steps]
    assert paths.isfinite().all()
    assert (scaled.std((0, 2)) > 0).all()
    torch.testing.assert_close(levels, levels[..., :1].expand_as(levels), rtol=0, atol=1e-4)
    parts_of_20 = (levels.mean(-1) * 20).floor().sort(0).values
    assert torch.equal(parts_of_20, torch.arange(20.0)[:, None].expand(20, 3))
