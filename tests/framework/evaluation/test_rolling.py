"""Paths beyond the horizon of training, against the closed form of an autoregression."""

from dataclasses import dataclass

import numpy as np
import torch

from components.data import SeriesBatch
from framework.data.series.scaling import Scaling
from framework.evaluation.forecasting import Paths
from framework.evaluation.rolling import roll_forward
from tests.framework.evaluation.fakes import Gaussian, Series, Sum

CONTEXT, WINDOW, HORIZON = 4, 3, 8
SLOPE, STD = 0.8, 0.5


@dataclass
class Fixed(Scaling):
    loc: float = 10.0
    scale: float = 3.0

    def fit(self, past, observed):
        return np.full((len(past), 1), self.loc), np.full((len(past), 1), self.scale)


class Spread(Scaling):
    """Half of the largest value, as a scale that changes with the past."""

    def fit(self, past, observed):
        return np.zeros((len(past), 1)), np.abs(past).max(1, keepdims=True) / 2


def batch():
    past = torch.tensor([[0.0, 7.0, 8.0, 13.0], [9.0, 10.0, 11.0, 4.0]])
    observed = torch.tensor([[False, True, True, True], [True] * 4])
    return SeriesBatch(
        past=past,
        observed=observed,
        loc=torch.full((2, 1), 10.0),
        scale=torch.full((2, 1), 3.0),
        error=torch.zeros(2, 1),
        target=torch.full((2, WINDOW), torch.nan),
        weight=torch.zeros(2, WINDOW),
    )


def roll(horizon, samples, scaling=None, std=STD, at_once=7_000, known=None):
    parts = Series(), Sum(0.0), Gaussian(SLOPE, std), known or batch()
    return roll_forward(
        *parts, Paths(samples, at_once=at_once, seed=1), horizon, scaling or Fixed()
    )


def test_every_path_continues_from_its_own_values():
    """Of x' = a x + e the distribution after h steps is N(a^h x, s² (1 - a^2h) / (1 - a²))."""
    paths = roll(HORIZON, 20_000)
    assert paths.shape == (2, 20_000, HORIZON)
    power = SLOPE ** torch.arange(1, HORIZON + 1)
    mean = 10 + power * (batch().past[:, -1:] - 10)
    spread = 3 * STD * ((1 - power**2) / (1 - SLOPE**2)).sqrt().expand_as(mean)
    torch.testing.assert_close(paths.mean(1), mean, rtol=0, atol=0.06)
    torch.testing.assert_close(paths.std(1), spread, rtol=0.02, atol=0)
    next_to = torch.corrcoef(paths[0, :, WINDOW - 1 : WINDOW + 1].T)[0, 1]  # across the seam
    variance = (1 - power**2)[WINDOW - 1 : WINDOW + 1]
    assert abs(next_to - SLOPE * (variance[0] / variance[1]).sqrt()) < 0.02


def test_without_noise_pasts_move_and_are_scaled_anew():
    """Against a loop over steps; every third one has a new scale."""
    paths = roll(HORIZON, 2, Spread(), std=1e-9)
    for series, drawn in zip(batch().past.tolist(), paths[:, 0].tolist(), strict=True):
        values, scales = list(series), []
        for h in range(HORIZON):
            if h % WINDOW == 0:
                recent = values[-CONTEXT:]
                loc, scale = (10.0, 3.0) if h == 0 else (0.0, max(map(abs, recent)) / 2)
                scales.append(scale)
            values.append(loc + scale * SLOPE * (values[-1] - loc) / scale)
        np.testing.assert_allclose(drawn, values[CONTEXT:], rtol=1e-5)


def test_a_high_level_is_kept_in_float64():
    level, low = 2e9, batch()
    high = SeriesBatch(*(x.double() if x.is_floating_point() else x for x in low))
    high = high._replace(past=high.past + level, loc=high.loc + level)
    paths = roll(HORIZON, 2, Fixed(10.0 + level), std=1e-9, known=high)
    near = roll(HORIZON, 2, std=1e-9)
    torch.testing.assert_close((paths - level).float(), near, rtol=0, atol=1e-4)


def test_shorter_horizons_are_drawn_as_in_training():
    paths = roll(2, 5)
    assert paths.shape == (2, 5, 2)
    whole = roll(WINDOW, 5)
    torch.testing.assert_close(paths, whole[..., :2])
    assert not torch.equal(roll(2 * WINDOW, 5)[..., WINDOW:], whole)


def test_the_seed_sets_the_paths():
    torch.testing.assert_close(roll(HORIZON, 6, at_once=2), roll(HORIZON, 6, at_once=2))
