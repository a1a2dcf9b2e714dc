"""Simulated series against a loop over their equations, and the shapes of their seasons."""

import numpy as np
import pytest

from framework.papers.chronos import StateSpaceSynth, state_space
from framework.papers.chronos.state_space import PERIODS, Models, seasons


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_values_equal_a_loop_over_the_equations(rng, monkeypatch):
    models = Models.draw(rng, rng.random(60) < 0.5)
    shocks, jumps = rng.standard_normal((60, 40)), np.zeros(60)
    monkeypatch.setattr(state_space, "_innovations", lambda *_: shocks)
    values = models._replace(jumps=jumps).simulate(rng, 40)
    for n in range(60):
        level, trend, noise = models.level[n], models.trend[n], 0.0
        season = list(models.season[n, : models.period[n]])
        for t in range(40):
            shock = models.noise[n] * shocks[n, t]
            noise = models.correlation[n] * noise + shock
            level, trend = level + models.damping[n] * trend, models.damping[n] * trend
            place = t % models.period[n]
            assert values[n, t] == pytest.approx(level + season[place] + noise, rel=1e-9)
            level, trend = level + models.alpha[n] * shock, trend + models.beta[n] * shock
            season[place] += models.gamma[n] * shock


def test_innovations_have_the_size_of_the_noise(rng):
    heavy = np.arange(4) % 2 == 1
    drawn = state_space._innovations(rng, heavy, 200_000)
    # A Student-t of 3 degrees has no fourth moment: its variance converges slowly.
    np.testing.assert_allclose(drawn.std(1), 1.0, atol=0.15)
    beyond = (np.abs(drawn) > 5).mean(1)
    assert beyond[~heavy].max() < 1e-5 < 1e-3 < beyond[heavy].min()


def test_seasons_are_standardized_and_end_with_the_period(rng):
    period = np.repeat(PERIODS, 20)
    found = seasons(rng, period)
    inside = np.arange(found.shape[1]) < period[:, None]
    assert (found[~inside] == 0).all()
    assert (found[period == 1] == 0).all()
    for row, steps in zip(found, period, strict=True):
        if steps > 1:
            assert row[:steps].mean() == pytest.approx(0, abs=1e-9)
            assert row[:steps].std() == pytest.approx(1)


def test_jumps_move_the_level_and_break_the_trend(rng):
    models = Models.draw(rng, np.zeros(2000, bool))._replace(
        jumps=np.full(2000, 0.05), season=np.zeros((2000, max(PERIODS))), trend=np.zeros(2000)
    )
    zeros = np.zeros(2000)
    still = models._replace(alpha=zeros, beta=zeros, gamma=zeros, damping=zeros)
    moved = still.simulate(np.random.default_rng(1), 200)[:, -1] - models.level
    noise = 1 / (1 - models.correlation**2)
    # Without a trend: 199 jumps, each with probability .05 and variance 16, before the last value.
    assert moved.var() == pytest.approx(199 * 0.05 * 16 + noise.mean(), rel=0.15)
    going = still._replace(damping=np.ones(2000)).simulate(np.random.default_rng(1), 200)[:, -1]
    assert (going - models.level).var() > 2 * moved.var()


@pytest.mark.parametrize("part", [0.0, 1.0])
def test_lengths_and_signs_are_as_asked(part):
    source = StateSpaceSynth(number=300, shortest=20, longest=90, multiplicative=part)
    panel = source.read()
    assert panel.length.min() >= 20
    assert panel.length.max() <= 90
    assert np.median(panel.length) == pytest.approx(np.sqrt(20 * 90), rel=0.15)
    assert np.isfinite(panel.values).all()
    assert all(v.min() > 0 for v in panel.series()) == (part == 1.0)
    assert source.origins() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"number": 0}, "StateSpaceSynth draws nothing with number=0"),
        ({"shortest": 1}, "shortest=1, longest=192; lengths need at least 2 steps"),
        ({"shortest": 9, "longest": 8}, "shortest=9, longest=8"),
        ({"multiplicative": 1.5}, "multiplicative=1.5 is a fraction"),
    ],
)
def test_mistakes_get_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        StateSpaceSynth(**options)
