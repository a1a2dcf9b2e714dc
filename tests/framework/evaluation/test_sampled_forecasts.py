"""Sampled paths against processes whose law at every horizon is known."""

import math

import pytest
import torch

from components.backbones.decoder import Decoder
from components.backbones.encoder_decoder import EncoderDecoder
from components.data import SeriesBatch
from components.interfaces import Embedded
from framework.evaluation.forecasting import Paths, sample_paths
from tests.framework.evaluation.fakes import Gaussian, Series, Sum

HORIZON = 5


def batch(size=2, context=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(2)
    past = torch.randn(size, context, generator=generator, dtype=dtype) * 3 + 10
    return SeriesBatch(
        past=past,
        observed=torch.ones(size, context, dtype=torch.bool),
        loc=torch.full((size, 1), 10.0, dtype=dtype),
        scale=torch.full((size, 1), 3.0, dtype=dtype),
        error=torch.ones(size, 1, dtype=dtype),
        target=torch.full((size, HORIZON), math.nan, dtype=dtype),  # must not be read
        weight=torch.ones(size, HORIZON, dtype=dtype),
    )


def test_autoregression_has_the_right_law():
    """Of x' = a x + e the law after h steps is N(a^h x, s² (1 - a^2h) / (1 - a²))."""
    slope, std, series = 0.8, 0.5, batch()
    paths = sample_paths(
        Series(), Sum(0.0), Gaussian(slope, std), series, Paths(20_000, at_once=7_000), seed=1
    )
    assert paths.shape == (2, 20_000, HORIZON)
    power = slope ** torch.arange(1, HORIZON + 1)
    mean = 10 + power * (series.past[:, -1:] - 10)
    spread = 3 * std * ((1 - power**2) / (1 - slope**2)).sqrt().expand_as(mean)
    torch.testing.assert_close(paths.mean(1), mean, rtol=0, atol=0.06)
    torch.testing.assert_close(paths.std(1), spread, rtol=0.02, atol=0)
    lagged = torch.corrcoef(paths[0, :, :2].T)[0, 1]  # a path is one draw, not H marginal ones
    assert lagged.item() == pytest.approx(slope / math.sqrt(1 + slope**2), abs=0.02)


class Wide(Series):
    """Gives every value as many features as a Transformer wants."""

    def forward(self, batch):
        states, mask, context, known = super().forward(batch)
        directions = torch.linspace(-1, 1, 8, dtype=states.dtype)
        return Embedded(states * directions, mask, torch.sin(context * directions), known)


@pytest.mark.parametrize("kind", [Decoder, EncoderDecoder])
@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_without_noise_the_cache_changes_nothing(kind, at_once):
    """Against reading everything again for every value."""
    torch.manual_seed(0)
    backbone = kind(dim=8, depth=2, heads=2).double().eval().requires_grad_(False)
    series, stem, head = batch(dtype=torch.float64), Wide(), Gaussian(0.7, 1e-12)
    series.observed[0, :2] = False
    known = series.target.nan_to_num(10.0)
    for h in range(HORIZON):
        hidden = backbone(stem(series._replace(target=known)))
        known[:, h] = 10 + 3 * head(hidden).mean[:, h]
    paths = sample_paths(stem, backbone, head, series, Paths(5, at_once), seed=0)
    torch.testing.assert_close(paths, known[:, None].expand_as(paths), rtol=0, atol=1e-9)


def test_global_randomness_is_untouched():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    parts = Series(), Sum(0.5), Gaussian(0.8, 0.5), batch()
    first, again = (sample_paths(*parts, Paths(3), seed=1) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"at_once": 0}])
def test_nothing_to_draw_is_one_sentence(wrong):
    with pytest.raises(ValueError, match="Paths draws nothing"):
        Paths(**wrong)
