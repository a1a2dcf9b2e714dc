"""Sampled paths against processes whose distribution at every horizon is known."""

import math

import numpy as np
import pytest
import torch

from components.backbones.decoder import Decoder
from components.backbones.encoder_decoder import EncoderDecoder
from components.data import SeriesBatch, SeriesSpec
from components.distributions import Categorical, Histogram
from components.interfaces import Embedded
from components.stems import BinnedSeriesStem, SeriesStem
from components.supports import Interval
from framework.evaluation.forecasting import Paths, relative_score, sample_paths
from tests.framework.evaluation.chronos_results import results
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


def test_autoregression_has_the_right_distribution():
    """Of x' = a x + e the distribution after h steps is N(a^h x, s² (1 - a^2h) / (1 - a²))."""
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
        states, mask, context, known, _ = super().forward(batch)
        directions = torch.linspace(-1, 1, 8, dtype=states.dtype)
        return Embedded(states * directions, mask, torch.sin(context * directions), known)


SPEC = SeriesSpec(Interval(-15.0, 15.0), context=4, horizon=HORIZON, season=2)
STEMS = [Wide, lambda: SeriesStem(8, SPEC), lambda: BinnedSeriesStem(8, SPEC)]


@pytest.mark.parametrize("kind", [Decoder, EncoderDecoder])
@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize("make", STEMS, ids=["all", "lags", "cells"])
def test_without_noise_the_cache_changes_nothing(kind, at_once, make):
    """Against reading everything again for every value."""
    torch.manual_seed(0)
    backbone = kind(dim=8, depth=2, heads=2).double().eval().requires_grad_(False)
    series, stem, head = batch(dtype=torch.float64), make().double(), Gaussian(0.7, 1e-12)
    series.observed[0, :2] = False
    known = series.target.nan_to_num(10.0)
    for h in range(HORIZON):
        hidden = backbone(stem(series._replace(target=known))).detach()
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


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({"top_k": 2}, [0, 0, 0.3, 0, 0.4]),
        ({"temperature": 0.5}, [0.01, 0.04, 0.09, 0, 0.16]),
        ({"temperature": 2.0, "top_k": 3}, [0, 0.2**0.5, 0.3**0.5, 0, 0.4**0.5]),
        ({"top_k": 99}, [0.1, 0.2, 0.3, 0, 0.4]),
    ],
    ids=str,
)
def test_cells_are_drawn_as_often_as_temperature_and_top_k_say(options, kept):
    probs, edges = torch.tensor([0.1, 0.2, 0.3, 0, 0.4]), torch.tensor([-9.0, -3, 0, 1, 2, 20])
    distribution = Histogram(Categorical(probs.log().expand(2, 5)), edges)
    torch.manual_seed(0)
    drawn = Paths(**options).draw(distribution, 20_000)
    assert drawn.shape == (20_000, 2)
    share = torch.stack([(distribution.index(drawn) == k).float().mean() for k in range(5)])
    expected = torch.tensor(kept) / sum(kept)
    torch.testing.assert_close(share, expected, rtol=0, atol=0.01)
    last = drawn[distribution.index(drawn) == 4]
    assert last.mean().item() == pytest.approx(11, abs=0.2)  # uniform within the cell
    assert last.std().item() == pytest.approx(18 / math.sqrt(12), abs=0.2)


def test_distributions_without_cells_have_no_top_k():
    distribution = Gaussian(0.8, 0.5)(torch.zeros(2, 1))
    assert Paths().draw(distribution, 3).shape == (3, 2)
    with pytest.raises(ValueError, match=r"top_k=50 choose among cells, but Normal has none.*\.$"):
        Paths(top_k=50).draw(distribution, 3)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"at_once": 0}])
def test_nothing_to_draw_is_one_sentence(wrong):
    with pytest.raises(ValueError, match="Paths draws nothing"):
        Paths(**wrong)


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"temperature": math.nan}, {"top_k": 0}])
def test_impossible_draws_are_one_sentence(wrong):
    with pytest.raises(ValueError, match=r"Paths cannot draw with .*\.$"):
        Paths(**wrong)


LEFT_OUT = {
    "ETTh",
    "ETTm",
    "dominick",
    "ercot",
    "exchange_rate",
    "monash_covid_deaths",
    "monash_fred_md",
}
"""Of the 27 zero-shot sets of Chronos, those that Gillman et al. (arXiv:2410.22269) leave out."""


@pytest.mark.parametrize(
    ("size", "mase", "wql"),
    [
        ("tiny", 0.8862, 0.7553),
        ("mini", 0.8635, 0.7558),
        ("small", 0.8557, 0.7431),
        ("base", 0.8323, 0.7235),
        ("large", 0.8244, 0.7125),
    ],
)
def test_published_scores_of_chronos_are_reproduced(size, mase, wql):
    naive, model = results("seasonal-naive"), results(f"chronos-t5-{size}")
    names = sorted(naive.keys() - LEFT_OUT)
    assert len(names) == 20
    for metric, expected in (("MASE", mase), ("WQL", wql)):
        scores, references = (
            [float(table[name][metric]) for name in names] for table in (model, naive)
        )
        assert relative_score(scores, references) == pytest.approx(expected, abs=5e-5)


def test_a_relative_score_is_a_geometric_mean():
    scores, references = np.random.default_rng(0).gamma(2, size=(2, 7))
    expected = np.prod(scores / references) ** (1 / 7)
    assert relative_score(list(scores), list(references)) == pytest.approx(expected)


def test_odd_scores():
    assert relative_score([0.0, 3.0], [1.0, 1.0]) == 0
    assert math.isnan(relative_score([math.nan, 3.0], [1.0, 1.0]))
    assert math.isnan(relative_score([1.0, 3.0], [1.0, math.nan]))


@pytest.mark.parametrize(
    ("scores", "references", "message"),
    [
        ([], [], "has no scores to average"),
        ([-1.0], [1.0], "at least 0"),
        ([1.0], [0.0], "references=\\[0.0\\] positive"),
    ],
)
def test_scores_out_of_range_are_one_sentence(scores, references, message):
    with pytest.raises(ValueError, match=message):
        relative_score(scores, references)
