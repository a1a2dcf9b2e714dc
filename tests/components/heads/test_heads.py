"""Laws that every head keeps on every support that it serves."""

import gc
from functools import _lru_cache_wrapper

import numpy as np
import pytest
import torch
from every_head import BINS, CELLS, DIM, IDS, INTERVALS, PAIRS, REAL, TOKENS, name
from torch.distributions import Laplace

from components.heads.fan import FanHead
from components.heads.fourier import FourierHead
from components.heads.linear import LinearHead
from components.heads.parametric import MixtureHead, NormalHead
from components.heads.point import PointHead
from components.heads.quantile import QuantileHead
from components.supports import Interval, Tokens
from components.testing import HEAD_LAWS
from components.testing.heads import total_probability_is_one
from framework.papers.token_encoding.pruning.head import PrunedHead

TABLES = [
    each
    for each in gc.get_objects()
    if type(each) is _lru_cache_wrapper and each.__module__.startswith("components.")
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("factory", "support"), PAIRS, ids=IDS)
@pytest.mark.parametrize("law", HEAD_LAWS, ids=lambda law: law.__name__)
def test_every_head(law, factory, support):
    for table in TABLES:  # which an earlier test has filled
        table.cache_clear()
    law(factory, support)


class Off(Laplace):
    """A density that integrates to e, with the distribution function of a proper one."""

    def log_prob(self, value):
        return super().log_prob(value) + 1


class OffHead(NormalHead):
    def distribution(self, raw):
        location, scale = raw.unbind(-1)
        return Off(self.location(location), self.scale(scale), validate_args=False)


@pytest.mark.parametrize("support", [*INTERVALS, *BINS], ids=str)
def test_a_density_that_does_not_integrate_to_one_breaks_the_law(support):
    with pytest.raises(AssertionError, match="not close"):
        total_probability_is_one(OffHead, support)


@pytest.mark.parametrize("factory", REAL, ids=name)
def test_real_distributions_refuse_tokens_in_one_sentence(factory):
    with pytest.raises(ValueError, match=r"\w+Head .*Tokens\(size=7\); use LinearHead, .*\.$"):
        factory(dim=DIM, support=TOKENS[0])


@pytest.mark.parametrize("factory", CELLS[:3], ids=name)
def test_cells_that_are_there_are_not_divided_again(factory):
    with pytest.raises(ValueError, match=r"drop bins=9"):
        factory(dim=DIM, support=TOKENS[0], bins=9)
    with pytest.raises(ValueError, match=r"drop bins=9"):
        factory(dim=DIM, support=BINS[0], bins=9)
    assert factory(dim=DIM, support=INTERVALS[0], bins=9)(torch.zeros(DIM)).cells.size == 9


BAD = [
    (FanHead, {"p": 0.6}, "p=0.6"),
    (FanHead, {"p": -0.1}, "p=-0.1"),
    (FanHead, {"layers": 0}, "layers=0"),
    (FanHead, {"hidden": 0}, "hidden=0"),
    (LinearHead, {"bins": 0}, "bins=0"),
    (FourierHead, {"frequencies": 0}, "frequencies=0"),
    (FourierHead, {"bins": 0}, "bins=0"),
    (FourierHead, {"bins": 5, "eps": -1e-5}, "eps=-1e-05"),
    (FourierHead, {"bins": 5, "eps": float("nan")}, "eps=nan"),
    (FourierHead, {"eps": 1e-5}, "eps=1e-05"),
    (FourierHead, {"init": "random"}, "init='random'"),
    (MixtureHead, {"components": 0}, "components=0"),
    (PrunedHead, {"kept": 0}, "kept=0"),
    (PrunedHead, {"kept": DIM + 1}, "kept=9"),
    (QuantileHead, {"levels": [0.5, 0.1]}, r"levels=\[0.5, 0.1\]"),
    (QuantileHead, {"levels": [0.0, 0.5]}, r"levels=\[0.0, 0.5\]"),
    (QuantileHead, {"levels": [0.5, 1.5]}, r"levels=\[0.5, 1.5\]"),
    (QuantileHead, {"levels": [0.5]}, r"levels=\[0.5\]"),
    (QuantileHead, {"levels": 0.5}, r"levels=\[0.5\]"),
    (QuantileHead, {"levels": "deciles"}, "levels='deciles' is not a number"),
    (FanHead, {"p": None}, "p=None is not a number"),
    (FanHead, {"layers": 1.5}, "layers=1.5 is not a whole number"),
    (LinearHead, {"bins": "many"}, "bins='many' is not a number"),
    (LinearHead, {"scale": []}, r"scale=\[\] is not a number"),
    (LinearHead, {"cap": float("inf")}, "cap=inf"),
    (FourierHead, {"frequencies": 2.5}, "frequencies=2.5 is not a whole number"),
    (FourierHead, {"bins": 5, "eps": float("inf")}, "eps=inf"),
    (FourierHead, {"atoms": [None]}, "atoms=None is not a number"),
    (MixtureHead, {"components": 2.5}, "components=2.5 is not a whole number"),
    (PointHead, {"std": float("inf")}, "std=inf"),
]


@pytest.mark.parametrize("as_array", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_options_may_be_arrays(as_array):
    """They are those of the lists, and plain numbers within."""
    support, hidden = Interval(0.0, 1.0), torch.randn(3, DIM)
    atoms = FourierHead(DIM, support, frequencies=2, atoms=as_array([0.25, 0.75]))
    assert atoms(hidden).atoms.tolist() == [0.25, 0.75]
    assert QuantileHead(DIM, support, as_array([0.25, 0.75])).levels == (0.25, 0.75)
    assert LinearHead(DIM, support, bins=as_array(3))(hidden).cells.size == 3


@pytest.mark.parametrize(("head", "options", "said"), BAD)
def test_options_out_of_range_end_in_one_sentence(head, options, said):
    with pytest.raises(ValueError, match=said + r"[^\n]*\.$"):
        head(dim=DIM, support=Interval(0.0, 1.0), **options)


@pytest.mark.parametrize(("factory", "support"), [p for p in PAIRS if p[0] in REAL])
def test_real_distributions_start_close_to_the_uniform_distribution_on_the_interval(
    factory, support
):
    bounds = support if isinstance(support, Interval) else support.interval
    head = factory(dim=DIM, support=support)
    distribution = head(torch.randn(64, DIM))
    middle, width = (bounds.low + bounds.high) / 2, bounds.high - bounds.low
    assert (distribution.mean - middle).abs().max() < 0.1 * width
    assert distribution.stddev.min() > 0.25 * width
    assert distribution.stddev.max() < 0.4 * width


def test_scales_stay_positive_whatever_is_asked_for():
    head = NormalHead(DIM, Interval(-1.0, 1.0))
    with torch.no_grad():
        head.projection.bias[1] = -1e6
    assert head(torch.zeros(DIM)).scale > 0
    assert head(torch.zeros(DIM)).log_prob(torch.tensor(0.0)).isfinite()


def test_quantiles_never_cross_and_start_where_the_uniform_distribution_has_them():
    levels = [0.05, 0.5, 0.6, 0.99]
    head = QuantileHead(DIM, Interval(10.0, 20.0), levels)
    found = head(torch.zeros(DIM)).icdf(torch.tensor(levels))
    torch.testing.assert_close(found, 10 + 10 * torch.tensor(levels), rtol=0, atol=2e-3)
    wild = head(1e3 * torch.randn(50, DIM)).icdf(torch.tensor(levels).unsqueeze(-1))
    assert (wild.diff(dim=0) > 0).all()


def test_linear_head_over_tokens_is_torchs_softmax():
    head = LinearHead(DIM, Tokens(5))
    hidden, target = torch.randn(2, 3, DIM), torch.randint(5, (2, 3))
    logits = hidden @ head.projection.weight.T + head.projection.bias
    expected = torch.distributions.Categorical(logits=logits).log_prob(target)
    torch.testing.assert_close(head(hidden).log_prob(target), expected)


def test_linear_head_over_an_interval_is_a_histogram():
    head = LinearHead(DIM, Interval(0.0, 2.0), bins=4)
    hidden = torch.randn(DIM)
    probs = (hidden @ head.projection.weight.T + head.projection.bias).softmax(-1)
    found = head(hidden).log_prob(torch.tensor(1.1))
    torch.testing.assert_close(found, (probs[2] / 0.5).log())


def test_components_of_a_vector_are_independent():
    head = LinearHead(DIM, Interval(0.0, 1.0, (2,)), bins=3)
    hidden, target = torch.randn(DIM), torch.tensor([0.1, 0.9])
    logits = head.projection(hidden).view(2, 3)
    cells = (logits.softmax(-1) * 3).log()
    torch.testing.assert_close(head(hidden).log_prob(target), cells[0, 0] + cells[1, 2])
