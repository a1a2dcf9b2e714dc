"""The likelihood of cells against counts of outcomes, closed forms and scipy."""

import math

import pytest
import scipy.stats
import torch
from torch.distributions import Laplace, Normal

from components.distributions import Affine, Categorical, Censored, Histogram, StudentT, WithAtoms
from components.heads import FourierHead, LinearHead, MixtureHead, NormalHead, StudentTHead
from components.metrics.cells import log_mass_between, nll_of_cells
from components.supports import Bins, Interval

INTERVAL = Interval(-1.0, 1.0, (2,))
BINS = INTERVAL.divide(16)
HEADS = {
    "linear": (LinearHead, {"bins": 16}),
    "fourier": (FourierHead, {"frequencies": 5}),
    "even with atoms": (
        FourierHead,
        {"frequencies": 5, "ends": "even", "atoms": [-1.0, 0.1, 1.0]},
    ),
    "coarse": (LinearHead, {"bins": 3}),
    "censored normal": (NormalHead, {"censored": True}),
    "censored t": (StudentTHead, {"censored": True}),
    "censored mixture": (MixtureHead, {"censored": True}),
}


@pytest.mark.parametrize("name", HEADS)
def test_masses_of_all_cells_add_up_to_one(name):
    head, options = HEADS[name]
    torch.manual_seed(0)
    prediction = head(8, INTERVAL, **options).double()(torch.randn(5, 8, dtype=torch.float64))
    middles = BINS.midpoint(torch.arange(16)).double()
    width = math.log(2 / 16)
    first, second = torch.meshgrid(middles, middles, indexing="ij")
    target = torch.stack((first, second), -1).flatten(0, 1).unsqueeze(1).expand(-1, 5, -1)
    nats = nll_of_cells(prediction, target, BINS)
    assert nats.shape == (256, 5)
    total = (2 * width - nats).logsumexp(0)
    torch.testing.assert_close(total, torch.zeros_like(total), atol=1e-6, rtol=0)


def test_shares_of_draws_are_the_masses():
    torch.manual_seed(0)
    base = StudentT(torch.tensor(3.0), torch.tensor(0.7), torch.tensor(0.5))
    prediction = WithAtoms(Censored(base, -1.0, 1.0).base, torch.tensor([0.5, 0.0]), (0.25,))
    for distribution in (Censored(base, -1.0, 1.0), prediction):
        bins = Interval(-1.0, 1.0).divide(8)
        drawn = distribution.sample((40_000,))
        drawn = drawn[bins.contains(drawn)]
        shares = torch.bincount(bins.index(drawn), minlength=8) / 40_000
        nats = nll_of_cells(distribution, bins.midpoint(torch.arange(8)), bins)
        torch.testing.assert_close((-nats).exp() / 4, shares, atol=0.01, rtol=0)


def test_of_a_histogram_it_is_the_likelihood():
    torch.manual_seed(0)
    prediction = LinearHead(8, INTERVAL, bins=BINS.size)(torch.randn(50, 8))
    target = 2 * torch.rand(50, 2) - 1
    target[0], target[1] = -1, 1
    expected = -prediction.log_prob(target)
    torch.testing.assert_close(nll_of_cells(prediction, target, BINS), expected)


def test_bounds_belong_to_the_end_cells():
    base = Normal(torch.tensor(0.0), torch.tensor(1.0))
    distribution, bins = Censored(base, -1.0, 1.0), Interval(-1.0, 1.0).divide(4)
    end = scipy.stats.norm.cdf(-0.5)  # the tail and the first cell
    for target in (-1.0, 1.0, -5.0, 0.8):
        found = nll_of_cells(distribution, torch.tensor(target), bins)
        assert found.item() == pytest.approx(-math.log(end / 0.5), rel=1e-6)
    lost = nll_of_cells(base, torch.tensor(-1.0), bins)  # what lies beyond is in no cell
    inside = end - scipy.stats.norm.cdf(-1)
    assert lost.item() == pytest.approx(-math.log(inside / 0.5), rel=1e-5)


def test_far_tails_keep_their_digits():
    bins = Bins((0.0, 0.5, 1.0))
    for loc in (-12.0, 13.0):
        normal = Normal(torch.tensor(loc), torch.tensor(1.0))
        found = nll_of_cells(normal, torch.tensor(0.7), bins).item()
        side = scipy.stats.norm(loc if loc < 0 else 1.5 - loc)
        mass = side.sf(0.5) - side.sf(1.0)
        assert found == pytest.approx(-math.log(mass / 0.5), rel=1e-5)


def test_other_distributions_are_read_by_their_distribution_function():
    laplace, bins = Laplace(torch.tensor(0.2), torch.tensor(0.4)), Interval(-1.0, 1.0).divide(4)
    expected = scipy.stats.laplace(0.2, 0.4).cdf(0.5) - scipy.stats.laplace(0.2, 0.4).cdf(0.0)
    found = nll_of_cells(laplace, torch.tensor(0.3), bins)
    assert found.item() == pytest.approx(-math.log(expected / 0.5), rel=1e-5)


def test_units_and_vectors():
    cells = Categorical(torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]]).log())
    histogram = Histogram(cells, torch.tensor([0.0, 1.0, 2.0, 3.0]))
    moved = Affine(histogram, torch.tensor(1.0), torch.tensor(2.0))
    found = log_mass_between(moved, torch.tensor([1.0, 3.0]), torch.tensor([3.0, 6.0]))
    torch.testing.assert_close(found, torch.tensor([0.1, 0.25 + 0.125]).log())
