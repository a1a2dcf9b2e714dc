"""What torch's protocol of distributions has beside methods: supports, a name, and validation."""

import pytest
import torch
from every_distribution import DISCRETE, MIXED, REAL, discrete, real, tensor
from torch.distributions import Independent, Normal, kl_divergence

from components.distributions import (
    Affine,
    Categorical,
    Censored,
    FourierDensity,
    Histogram,
    Mixture,
    Quantiles,
    StudentT,
)
from components.metrics.divergences import kl


@pytest.mark.parametrize("name", [*REAL, *MIXED, *DISCRETE])
def test_draws_lie_in_the_support(name):
    torch.manual_seed(0)
    distribution = discrete(name, 3) if name in DISCRETE else real(name, 3)
    drawn = distribution.sample((100,))
    assert distribution.support.check(drawn).shape == (100, 3)
    assert distribution.support.check(drawn).all()


def test_supports_end_where_distributions_do():
    cells = Histogram(Categorical(torch.zeros(2, 4)), torch.linspace(0, 1, 5))
    vectors = Affine(Independent(cells, 1), torch.tensor([1.0, 2.0]), torch.tensor([2.0, 4.0]))
    ends = torch.tensor([[1.0, 2.0], [3.0, 6.0], [3.0, 6.5], [0.5, 2.0]])
    assert vectors.support.check(ends).tolist() == [True, True, False, False]
    assert Categorical(torch.zeros(3)).support.check(torch.arange(-1, 4)).tolist() == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert not FourierDensity(torch.ones(4), 0.0, 1.0).support.check(torch.tensor(1.5))


def test_distributions_say_what_they_are():
    mixture = Mixture(torch.zeros(2, 3), torch.zeros(2, 3), torch.ones(2, 3))
    said = "Mixture(batch_shape: torch.Size([2]), event_shape: torch.Size([]))"
    assert repr(mixture) == said
    assert repr(Censored(mixture, -1.0, 1.0)) == said.replace("Mixture(", f"Censored({said}, ")


ONE = tensor(1.0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda bad: StudentT(bad, ONE, ONE), "StudentT: df"),
        (lambda bad: StudentT(ONE, ONE, bad), "StudentT: scale"),
        (lambda bad: Mixture(ONE, ONE, bad), "Mixture: scale"),
        (lambda bad: Affine(Normal(ONE, ONE, validate_args=False), ONE, bad), "Affine: scale"),
    ],
)
def test_scales_that_none_can_be_are_refused(make, said):
    for bad in (0.0, -2.0):
        with pytest.raises(ValueError, match=rf"{said}={bad} is not positive; .*\.$"):
            make(tensor(bad))
    assert make(tensor(torch.nan)).log_prob(ONE).isnan().all()


@pytest.mark.parametrize("levels", [(10.0, 50.0, 90.0), (0.5, 0.1, 0.9), (0.0, 0.5, torch.nan)])
def test_levels_that_none_can_be_are_refused(levels):
    with pytest.raises(ValueError, match=r"Quantiles: levels=\[.*\] must increase between 0.0 an"):
        Quantiles(tensor(1.0, 2.0, 3.0), tensor(*levels))


def test_edges_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match=r"Histogram: edges=\[0.0, 0.0, 1.0\] must increase"):
        Histogram(Categorical(torch.zeros(2)), torch.tensor([0.0, 0.0, 1.0]))


def test_no_device_is_waited_for():
    """On the meta device there is nothing to look at, as in compiled code."""
    with torch.device("meta"):
        scale = torch.ones(2, 3)
        assert StudentT(scale, scale, scale).batch_shape == (2, 3)
        assert Quantiles(scale, torch.ones(3)).batch_shape == (2,)


def test_torch_finds_the_divergence():
    one, other = (Categorical(tensor(*logits)) for logits in ((0.0, 1.0), (1.0, -1.0)))
    assert kl_divergence(one, other) == kl(one, other)
    edges = tensor(0.0, 1.0, 3.0)
    cells = [Independent(Histogram(each.expand((2,)), edges), 1) for each in (one, other)]
    torch.testing.assert_close(kl_divergence(*cells), 2 * kl(one, other))
