"""KL divergences from a known truth: by hand, by scipy, and direction and units."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import torch
from torch.distributions import Independent, Normal

from components.distributions import Histogram
from components.distributions.categorical import Categorical
from components.heads import FanHead, FourierHead, LinearHead
from components.metrics.divergences import kl
from components.supports import Bins, Interval, Tokens


def choices(*probabilities):
    return Categorical(torch.tensor(probabilities, dtype=torch.float64).log())


def drawn(*shape):
    torch.manual_seed(0)
    return torch.randn(*shape, dtype=torch.float64)


def test_of_two_choices_by_hand():
    even, odd = choices(0.5, 0.5), choices(0.25, 0.75)
    assert kl(even, odd).item() == pytest.approx(math.log(2 / math.sqrt(3)), rel=1e-12)
    assert kl(odd, even).item() == pytest.approx(0.75 * math.log(3) - math.log(2), rel=1e-12)


def test_what_is_impossible_costs_nothing():
    truth = choices(0.0, 1.0, 0.0)
    assert kl(truth, choices(0.5, 0.25, 0.25)).item() == pytest.approx(math.log(4), rel=1e-12)
    assert kl(truth, truth).item() == 0
    assert kl(choices(0.5, 0.5, 0.0), truth).item() == math.inf


@pytest.mark.parametrize(
    "head",
    [LinearHead, FanHead, partial(FourierHead, frequencies=4)],
    ids=["linear", "fan", "fourier"],
)
def test_of_every_head_over_choices_as_scipy(head):
    truth, predict = Categorical(drawn(3, 2, 18)), head(dim=4, support=Tokens(18)).double()
    prediction = predict(drawn(3, 2, 4))
    probabilities = prediction.probs.detach().numpy()
    expected = scipy.special.rel_entr(truth.probs.numpy(), probabilities).sum(-1)
    found = kl(truth, prediction)
    assert found.shape == (3, 2)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-7, atol=1e-9)


def test_is_what_the_expected_likelihood_lacks_to_the_entropy():
    truth, prediction = Categorical(drawn(5, 7)), Categorical(2 * drawn(5, 7).flip(0))
    likelihoods = torch.stack([prediction.log_prob(torch.full((5,), k)) for k in range(7)], -1)
    expected = -(truth.probs * likelihoods).sum(-1) - truth.entropy()
    torch.testing.assert_close(kl(truth, prediction), expected)


def histogram(logits, low=-2.0, high=2.0):
    return Bins.uniform(low, high, logits.shape[-1]).distribution(Categorical(logits), "cpu")


@pytest.mark.parametrize("cells", [5, 64, 700])
def test_of_the_same_cells_is_that_of_their_probabilities(cells):
    one, other = drawn(2, 3, cells), drawn(3, 2, cells).view(2, 3, cells).flip(-1)
    found = kl(histogram(one), histogram(other))
    torch.testing.assert_close(found, kl(Categorical(one), Categorical(other)), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("cells", "finer"), [(4, 16), (16, 4), (8, 256)])
def test_of_other_cells_is_that_of_the_finer_ones(cells, finer):
    """A density that is constant in a cell is so in each of its parts."""
    one, other, most = drawn(2, cells), drawn(2, finer).flip(0), max(cells, finer)

    def divided(logits):
        parts = most // logits.shape[-1]
        return Categorical(logits.repeat_interleave(parts, -1))

    expected = kl(divided(one), divided(other))
    torch.testing.assert_close(kl(histogram(one), histogram(other)), expected, rtol=1e-6, atol=0)


def test_of_unequal_cells_by_hand():
    """p is 1/2 on [0, 1] and 1/6 on [1, 4], q 1/4 everywhere: half of ln 2 and ln 2/3."""
    edges = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    truth = Histogram(choices(0.5, 0.5), edges)
    uniform = histogram(torch.zeros(8, dtype=torch.float64), 0.0, 4.0)
    assert kl(truth, uniform).item() == pytest.approx(math.log(4 / 3) / 2, rel=1e-6)


def test_of_any_density_as_an_integral_of_scipy():
    logits = drawn(8)
    truth, prediction = histogram(logits), Normal(torch.tensor(0.3).double(), 0.9)
    true = truth.densities.numpy()
    edges = truth.edges.tolist()

    def integrand(x):
        p = true[min(int((x + 2) / 0.5), 7)]
        return p * (math.log(p) - scipy.stats.norm.logpdf(x, 0.3, 0.9))

    expected = sum(scipy.integrate.quad(integrand, low, high)[0] for low, high in pairwise(edges))
    assert kl(truth, prediction).item() == pytest.approx(expected, rel=1e-5)


def test_of_vectors_adds_their_components():
    one, other = drawn(3, 2, 6), drawn(2, 3, 6).view(3, 2, 6).flip(-1)
    vectors = [Independent(histogram(logits), 1) for logits in (one, other)]
    torch.testing.assert_close(kl(*vectors), kl(histogram(one), histogram(other)).sum(-1))


def test_an_unknown_truth_is_one_sentence():
    with pytest.raises(TypeError, match=r"the truth is a Normal; give one over choices or over c"):
        kl(Normal(0.0, 1.0), Normal(0.0, 1.0))


def test_heads_over_an_interval_are_scored():
    truth = Interval(-2.0, 2.0, (1,)).divide(64).distribution(Categorical(drawn(2, 1, 64)), "cpu")
    for head in (partial(LinearHead, bins=64), partial(FourierHead, frequencies=8)):
        prediction = head(dim=4, support=Interval(-2.0, 2.0, (1,))).double()(drawn(2, 4))
        assert kl(truth, prediction).shape == (2,)
        assert (kl(truth, prediction) > 0).all()
