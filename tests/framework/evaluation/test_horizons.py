"""Paths of models that predict all steps at once: marginals, levels, seeds, longer horizons."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal

from components.data import SeriesBatch
from components.interfaces import Backbone, Embedded, Head, Stem
from framework.data import LastScaling
from framework.evaluation.forecasting import Paths, sample_paths
from framework.evaluation.rolling import roll_forward

HORIZON = 4


class Whole(Stem):
    """The state of step h is h plus the last value of the past in scaled units."""

    autoregressive = False

    def forward(self, batch):
        last = (batch.past[:, -1:] - batch.loc) / batch.scale
        return Embedded(last[..., None])

    def readout(self, hidden):
        return hidden + torch.arange(1.0, HORIZON + 1)[:, None]


class Same(Backbone):
    dim = 1

    def forward(self, inputs, cache=None):
        return inputs.states

    def new_cache(self, batch_size, length):
        raise AssertionError("nothing is cached")


class Around(Head):
    """A normal distribution around the state, whose spread is the state, too."""

    projection = nn.Identity()

    def forward(self, hidden):
        return Normal(hidden[..., 0], 1 + hidden[..., 0].abs(), validate_args=False)


PARTS = (Whole(), Same(), Around())


def batch(series=3, horizon=HORIZON):
    past = torch.tensor([[1.0, 2.0, 4.0], [5.0, 5.0, 7.0], [0.0, 1.0, 0.0]])[:series]
    ones = torch.ones(series, 1)
    return SeriesBatch(
        past,
        torch.ones_like(past, dtype=torch.bool),
        past[:, -1:],
        2 * ones,
        ones,
        torch.full((series, horizon), torch.nan),
        torch.ones(series, horizon),
    )


def test_quantiles_of_paths_are_those_of_the_prediction():
    some = batch(horizon=3)
    paths = sample_paths(*PARTS, some, Paths(samples=1000, at_once=300), seed=0)
    assert paths.shape == (3, 1000, 3)
    step = torch.arange(1.0, 4.0)
    for level in (0.1, 0.5, 0.9):
        expected = some.loc + some.scale * Normal(step, 1 + step).icdf(torch.tensor(level))
        near = (
            2
            * (1 + step)
            * 1.76
            / 1000
            / Normal(0, 1).log_prob(Normal(0.0, 1.0).icdf(torch.tensor(level))).exp()
        )
        assert ((paths.quantile(level, 1) - expected).abs() < near).all()


def test_a_path_follows_one_level():
    some = batch()
    paths = sample_paths(*PARTS, some, Paths(samples=50), seed=3)
    step = torch.arange(1.0, HORIZON + 1)
    scaled = (paths - some.loc[:, None]) / some.scale[:, None]
    levels = Normal(step, 1 + step).cdf(scaled)
    torch.testing.assert_close(levels, levels[..., :1].expand_as(levels), rtol=0, atol=1e-5)
    parts = (levels[..., 0] * 50).long().sort(1).values
    assert parts.tolist() == [list(range(50))] * 3  # one level in each fiftieth
    assert not torch.equal(levels[0], levels[1])


def test_a_seed_draws_the_same_paths_however_many_are_computed_together():
    state = torch.random.get_rng_state()
    first, second, other = (
        sample_paths(*PARTS, batch(), Paths(samples=20, at_once=some), seed=seed)
        for some, seed in ((20, 1), (3, 1), (20, 2))
    )
    torch.testing.assert_close(first, second)
    assert not torch.allclose(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_longer_horizons_go_on_from_the_end_of_each_path():
    paths = roll_forward(*PARTS, batch(), Paths(samples=40), 2 * HORIZON, LastScaling())
    first = sample_paths(*PARTS, batch(), Paths(samples=40), 0)
    assert paths.shape == (3, 40, 2 * HORIZON)
    assert paths.isfinite().all()
    spread = paths.std(1)
    assert (spread[:, HORIZON + 1 :] > first.std(1)[:, :1]).all()


@pytest.mark.parametrize("paths", [Paths(top_k=5), Paths(temperature=0.5)])
def test_cells_are_not_chosen_step_by_step(paths):
    with pytest.raises(ValueError, match="but Whole predicts all steps at once; drop them"):
        sample_paths(*PARTS, batch(), paths, 0)
