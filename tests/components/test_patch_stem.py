"""The stem of patches: what it reads, what it leaves out, and what one state predicts."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import pad

from components import Decoder, EncoderDecoder, Interval, PatchStem
from components.data import Covariate, SeriesBatch, SeriesSpec, TokenSpec
from components.supports import Tokens

BATCH, DIM, PATCH = 3, 16, 4
SPEC = SeriesSpec(Interval(-5.0, 5.0), context=12, horizon=5, season=1)
BACKBONES = [Decoder(DIM, 1, 2), EncoderDecoder(DIM, 1, 2)]


def series(context=12):
    observed = torch.rand(BATCH, context) > 0.2
    observed[:, -1] = True
    observed[0, :5] = False  # a patch of padding, and a missing value
    return SeriesBatch(
        past=torch.randn(BATCH, context) * observed,
        observed=observed,
        loc=torch.randn(BATCH, 1),
        scale=torch.rand(BATCH, 1) + 0.5,
        error=torch.ones(BATCH, 1),
        target=torch.randn(BATCH, SPEC.horizon),
        weight=torch.ones(BATCH, SPEC.horizon),
    )


@pytest.fixture
def stem():
    torch.manual_seed(0)
    return PatchStem(DIM, SPEC, patch=PATCH, features=8)


def predicted(stem, backbone, batch):
    return stem.readout(backbone(stem(batch)))


def test_patches_equal_a_loop(stem):
    batch = series()
    embedded = stem(batch)
    assert embedded.context.shape == (BATCH, 3, DIM)
    for b in range(BATCH):
        scaled = (batch.past[b] - batch.loc[b]) / batch.scale[b]
        seen = scaled[batch.observed[b]]
        level = (batch.loc[b, 0] + batch.scale[b, 0] * seen.mean()).abs()
        facts = torch.stack([seen.mean().asinh(), batch.scale[b, 0] / (batch.scale[b, 0] + level)])
        torch.testing.assert_close(embedded.states[b, 0], stem.query(facts))
        for k in range(3):
            known = batch.observed[b, PATCH * k : PATCH * (k + 1)]
            values = scaled[PATCH * k : PATCH * (k + 1)].asinh() * known
            inputs = torch.cat([values, known.float(), facts])
            expected = stem.linear(inputs) + stem.network(inputs)
            torch.testing.assert_close(embedded.context[b, k], expected)
    assert embedded.context_mask.tolist() == [[False, True, True], [True] * 3, [True] * 3]


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda each: type(each).__name__)
def test_one_state_predicts_all_steps_and_reads_none(stem, backbone):
    batch = series()
    found = predicted(stem, backbone, batch)
    assert found.shape == (BATCH, SPEC.horizon, DIM)
    other = batch._replace(target=torch.full_like(batch.target, torch.nan))
    torch.testing.assert_close(predicted(stem, backbone, other), found)
    assert not torch.allclose(found[:, 0], found[:, 1])


@pytest.mark.parametrize("backbone", BACKBONES, ids=lambda each: type(each).__name__)
def test_padding_and_missing_values_do_not_matter(stem, backbone):
    batch = series()
    found = predicted(stem, backbone, batch)
    strange = batch._replace(past=torch.where(batch.observed, batch.past, 1e9))
    torch.testing.assert_close(predicted(stem, backbone, strange), found)
    longer = batch._replace(past=pad(batch.past, (7, 0)), observed=pad(batch.observed, (7, 0)))
    torch.testing.assert_close(predicted(stem, backbone, longer), found)


def test_units_do_not_matter(stem):
    batch = series()
    other = batch._replace(past=1000 * batch.past, loc=1000 * batch.loc, scale=1000 * batch.scale)
    for one, two in zip(stem(batch)[::2], stem(other)[::2], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_a_constant_series_and_one_without_values_stay_finite(stem):
    batch = series()
    same = batch._replace(past=batch.loc.expand_as(batch.past), scale=torch.ones(BATCH, 1))
    empty = batch._replace(observed=torch.zeros_like(batch.observed))
    for some in (same, empty):
        assert all(x.isfinite().all() for x in (stem(some).states, stem(some).context))


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (SPEC, {"patch": 0}, "PatchStem: patch=0"),
        (SPEC, {"features": -1}, "features=-1"),
        (
            TokenSpec(Tokens(5), 4),
            {},
            "reads data that publish a SeriesSpec, these publish a TokenSpec; choose",
        ),
        (
            replace(SPEC, covariates=(Covariate("price", "known"),)),
            {},
            "reads no covariates, but the data have price; choose SeriesStem",
        ),
    ],
)
def test_mistakes_get_one_sentence(spec, options, message):
    with pytest.raises(ValueError, match=message):
        PatchStem(DIM, spec, **options)
