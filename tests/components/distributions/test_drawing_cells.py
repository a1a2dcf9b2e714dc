"""Draws of single cells of a Fourier distribution, by blocks of cells."""

import pytest
import torch
from scipy.stats import chi2, kstest

from components.distributions.categorical import Categorical
from components.distributions.fourier.categorical import FourierCategorical
from components.distributions.fourier.drawing import _blocks, blocks_pay
from components.distributions.fourier.polynomial import as_complex, squared_modulus
from components.distributions.histogram import Histogram

SHAPES = [  # cells, coefficients: blocks of any end
    *((512, 3), (700, 40), (1021, 128)),
    pytest.param(4094, 551, marks=pytest.mark.slow),
]


def coefficients(terms, *batch, dtype=torch.float32):
    """Makes random ones that decay, so that distributions have hills and valleys."""
    torch.manual_seed(terms)
    decay = torch.exp(-torch.arange(terms) * (6 / terms)).repeat(2)
    return (torch.randn(*batch, 2 * terms) * decay).to(dtype)


@pytest.mark.parametrize(("size", "terms"), SHAPES)
def test_blocks_have_the_mass_of_their_cells(size, terms):
    given = coefficients(terms, 5, dtype=torch.float64)
    blocks = _blocks(size, terms, given.dtype, given.device)
    power = squared_modulus(
        torch.fft.ifft(as_complex(given), n=len(blocks.sums), norm="forward")
    ) / squared_modulus(as_complex(given)).sum(-1, keepdim=True)
    cumulative = FourierCategorical(given, size).probs.cumsum(-1)
    length = blocks.straight.shape[-1]
    ends = torch.arange(length, size + length, length).clamp_max(size) - 1
    torch.testing.assert_close(power @ blocks.sums, cumulative[:, ends], rtol=0, atol=1e-13)


@pytest.mark.parametrize(("size", "terms"), SHAPES)
@pytest.mark.parametrize("eps", [0.0, 1e-4])
def test_draws_are_distributed_as_the_probabilities(size, terms, eps):
    given, draws = coefficients(terms), 6_000
    assert blocks_pay(size, terms, 1)
    distribution = FourierCategorical(given.expand(draws, -1), size, eps)
    counts = torch.bincount(distribution.sample(), minlength=size).double()
    expected = FourierCategorical(given, size, eps).probs.double() * draws
    order = expected.argsort(descending=True)
    bins = (expected[order].cumsum(0) / 20).long()  # cells are joined until 20 draws are expected
    counts, expected = (
        torch.zeros(int(bins.max()) + 1, dtype=torch.float64).index_add(0, bins, each[order])
        for each in (counts, expected)
    )
    kept = expected > 5
    statistic = ((counts - expected).square() / expected)[kept].sum().item()
    assert counts.sum() == draws
    assert chi2.sf(statistic, int(kept.sum()) - 1) > 1e-4


def test_values_are_drawn_in_their_cells():
    edges = torch.linspace(0, 30, 701).square()
    given = coefficients(40).expand(3000, -1)
    histogram = Histogram(FourierCategorical(given, 700), edges)
    drawn = histogram.sample()
    assert drawn.shape == (3000,)
    level = histogram.cdf(drawn)  # uniform, if values are drawn from the distribution
    assert kstest(level.numpy(), "uniform").pvalue > 1e-4


def test_each_row_is_drawn_from_its_own():
    """Two opposite hills, narrower than a block: no draw lies at the other one."""
    size, terms = 2048, 200
    k = torch.arange(terms)
    centers = torch.tensor([[-0.5], [0.5]])
    angle = -torch.pi * k * centers
    given = torch.cat((angle.cos(), angle.sin()), -1)
    drawn = FourierCategorical(given.repeat(500, 1), size).sample((2,)).view(2, 500, 2)
    assert (drawn[..., 0] < size // 2).float().mean() > 0.99
    assert (drawn[..., 1] >= size // 2).float().mean() > 0.99


def test_constant_and_tiny_coefficients_are_drawn():
    zeros = FourierCategorical(torch.zeros(4000, 2 * 40), 700).sample()
    assert zeros.min() < 50
    assert zeros.max() > 650
    given = coefficients(40, 50)
    for scale in (1e-30, 1e30):
        drawn = FourierCategorical(given * scale, 700).sample()
        assert ((drawn >= 0) & (drawn < 700)).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_draws_in_other_precisions(dtype):
    given = coefficients(40, 3, 2, dtype=dtype)
    drawn = FourierCategorical(given, 700).sample((2,))
    assert drawn.shape == (2, 3, 2)
    assert drawn.dtype == torch.int64


@pytest.mark.parametrize("eps", [0.0, 1e-4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("size", "terms"), [(700, 40), (81, 40), (80, 40), (60, 40), (512, 3), (4094, 551)]
)
def test_the_largest_cells_are_those_of_all(size, terms, dtype, eps):
    """By real FFTs from one frequency for two cells on; by all logits below, and of few terms."""
    given = torch.cat((coefficients(terms, 2, 3, dtype=dtype), torch.zeros(2, 1, 2 * terms)), 1)
    distribution = FourierCategorical(given.to(dtype), size, eps)
    probs, cells = distribution.largest(50)
    expected = distribution.probs.gather(-1, cells)
    assert probs.shape == cells.shape == (2, 4, 50)
    torch.testing.assert_close(
        probs / probs.sum(-1, keepdim=True),
        expected / expected.sum(-1, keepdim=True),
        rtol=0,
        atol=1e-6 if dtype == torch.float32 else 1e-13,
    )
    best = distribution.probs.topk(50).values
    torch.testing.assert_close(
        expected.sort(-1, descending=True).values, best, rtol=0, atol=1e-6 * float(best.max())
    )
    assert all(len(set(row.tolist())) == 50 for row in cells.flatten(0, -2))


def test_the_largest_outcomes_of_logits():
    distribution = Categorical(torch.tensor([0.3, 2.0, -1.0, 1.0], dtype=torch.bfloat16))
    probs, outcomes = distribution.largest(2)
    assert sorted(outcomes.tolist()) == [1, 3]
    assert dict(zip(outcomes.tolist(), probs.tolist(), strict=True))[1] == pytest.approx(
        1 / (1 + torch.tensor(-1.0).exp().item())
    )


def test_a_single_distribution_has_cells():
    distribution = FourierCategorical(torch.ones(2 * 40), 700)
    assert distribution.probs.shape == (700,)
    assert distribution.largest(5)[1].shape == (5,)
