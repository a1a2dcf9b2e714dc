"""The heads of the paper's toy example: mixtures of even weights, and points.

The floor under widths, 1e-5, is worth up to a percent in the far tails.
"""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from components.heads.even import EvenMixtureHead
from components.heads.point import PointHead
from components.losses import NegativeLogLikelihood, SquaredError
from components.supports import Bins, Interval, Tokens

DIM = 8


def preset(head, means, widths):
    """Makes a head ignore the hidden state."""
    with torch.no_grad():
        head.projection.means.weight.zero_()
        head.projection.means.bias.copy_(torch.tensor(means))
        head.projection.widths.copy_(torch.tensor(widths))
    return head


def test_density_is_the_mixture_of_the_paper():
    """Centers tanh(m) and widths softplus(w) of z; here 3 units of the outcome are one of z."""
    head = preset(EvenMixtureHead(DIM, Interval(-1.0, 5.0)), [0.3, -0.8], [-1.0, -2.0])
    y = np.linspace(-3, 7, 31)
    z, p = (y - 2) / 3, 0.0
    for m, w in ((0.3, -1.0), (-0.8, -2.0)):
        p = p + scipy.stats.norm(math.tanh(m), math.log1p(math.exp(w))).pdf(z) / 2 / 3
    found = head(torch.randn(DIM)).log_prob(torch.from_numpy(y).float()).exp()
    np.testing.assert_allclose(found.detach(), p, rtol=1e-2, atol=1e-6)


def test_cells_are_the_softmax_of_the_floored_logarithm():
    head = preset(EvenMixtureHead(DIM, Interval(-1.0, 1.0), bins=50), [0.3, -0.8], [-2.0, -3.0])
    z = (2 * np.arange(50) + 1 - 50) / 50
    p = sum(
        scipy.stats.norm(math.tanh(m), math.log1p(math.exp(w))).pdf(z) / 2
        for m, w in ((0.3, -2.0), (-0.8, -3.0))
    )
    expected = (p + 1e-5) / (p + 1e-5).sum()
    np.testing.assert_allclose(
        head(torch.randn(DIM)).cells.probs.detach(), expected, rtol=1e-2, atol=1e-7
    )


@pytest.mark.parametrize(("bins", "width"), [(50, math.log1p(2 / 50)), (None, math.log(3))])
def test_widths_start_as_in_the_paper(bins, width):
    head = EvenMixtureHead(DIM, Interval(-1.0, 1.0), components=1, bins=bins)
    assert torch.nn.functional.softplus(head.projection.widths).item() == pytest.approx(width)


def test_a_point_is_least_squares():
    """The gradient of the likelihood is that of the squared error over twice the variance."""
    head = PointHead(DIM, Interval(-1.0, 3.0), std=0.25)
    hidden, target = torch.randn(20, DIM), torch.randn(20)
    gradients = []
    for loss in (NegativeLogLikelihood(), SquaredError()):
        head.zero_grad()
        loss(head(hidden), target).mean().backward()
        gradients.append(head.projection.weight.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1] / (2 * (0.25 * 4) ** 2))


def test_a_point_may_be_a_plain_linear_map_whatever_the_interval():
    hidden = torch.randn(20, DIM)
    head = PointHead(DIM, Interval(-10.0, 10.0), unit=1.0)
    plain, distribution = head.projection(hidden)[:, 0], head(hidden)
    torch.testing.assert_close(distribution.mean, plain)
    torch.testing.assert_close(distribution.stddev, torch.full((20,), 20 / math.sqrt(12)))
    moved = PointHead(DIM, Interval(-1.0, 3.0), unit=0.5)
    torch.testing.assert_close(moved(hidden).mean, 1 + moved.projection(hidden)[:, 0] / 2)
    usual = PointHead(DIM, Interval(-1.0, 3.0))
    torch.testing.assert_close(usual(hidden).mean, 1 + 2 * usual.projection(hidden)[:, 0])


@pytest.mark.parametrize("head", [EvenMixtureHead, PointHead])
def test_tokens_are_refused(head):
    with pytest.raises(ValueError, match=rf"{head.__name__} .*Tokens\(size=7\); use LinearHead"):
        head(DIM, Tokens(7))


def test_cells_of_several_widths_are_not_read_as_of_one():
    with pytest.raises(ValueError, match=r"EvenMixtureHead: bins=2 are cells of one width, .*\.$"):
        EvenMixtureHead(DIM, Bins((-1.0, 0.0, 2.0)), bins=2)
    equal = Bins(torch.linspace(0.1, 0.7, 301))  # rounded, as data are
    head = EvenMixtureHead(DIM, equal, bins=300)
    assert head(torch.zeros(DIM)).mean.item() == pytest.approx(0.4, abs=0.3)


def test_options_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"EvenMixtureHead: components=0; .*\.$"):
        EvenMixtureHead(DIM, Interval(0.0, 1.0), components=0)
    with pytest.raises(ValueError, match=r"PointHead: std=0.0 .*\.$"):
        PointHead(DIM, Interval(0.0, 1.0), std=0.0)
    with pytest.raises(ValueError, match=r"PointHead: unit=-1.0 .*\.$"):
        PointHead(DIM, Interval(0.0, 1.0), unit=-1.0)
