"""Scores and functionals against their defining integrals and brute-force sums."""

import math
from itertools import pairwise

import pytest
import torch
from every_distribution import (
    CIRCLE,
    DISCRETE,
    EDGES,
    MIXED,
    REAL,
    discrete,
    integrate,
    randn,
    real,
    tensor,
)
from torch.distributions import Independent, Laplace

from components.distributions import (
    Affine,
    Categorical,
    CategoricalWithAtoms,
    CategoricalWithSpecials,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierDensity,
    FourierHistogram,
    Histogram,
    StudentT,
    TanhWarp,
    TransformedFourier,
    WithAtoms,
)
from components.distributions.functionals import coefficient_power, log_normalizer
from components.distributions.inversion import levels_and_weights
from components.distributions.roughness import roughness
from components.distributions.scores import crps

SMOOTH = [name for name in REAL if "Histogram" not in name and "Quantiles" not in name]


@pytest.mark.parametrize("target", [-4.0, -0.6, 0.35, 1.7, 6.0])
@pytest.mark.parametrize("name", [*REAL, *MIXED])
def test_crps_is_its_integral(name, target):
    distribution = real(name)
    expected = integrate(
        lambda x: (distribution.cdf(x) - (x >= target).to(x.dtype)).square(), distribution, target
    )
    numeric = ("TransformedFourier", "Censored")  # integrated over 255 quantiles
    rounding = 4e-3 if any(kind in name for kind in numeric) else 1e-6
    torch.testing.assert_close(
        crps(distribution, torch.tensor(target).double()), expected, atol=1e-6, rtol=rounding
    )


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_crps_is_its_sum(name):
    distribution = discrete(name, 2)
    target = torch.tensor([0, 5])
    draws = torch.arange(distribution.size, dtype=torch.float64)
    p = distribution.probs
    near = (p * (draws - target.unsqueeze(-1)).abs()).sum(-1)
    apart = torch.einsum("bi,bj,ij->b", p, p, (draws[:, None] - draws).abs())
    torch.testing.assert_close(crps(distribution, target), near - apart / 2)


def test_crps_of_an_unknown_distribution_is_integrated():
    distribution = Laplace(tensor(0.3, -1.0), tensor(0.7, 2.0))
    y = tensor(0.1, 2.0)
    z = (y - distribution.loc) / distribution.scale
    closed = distribution.scale * (
        z.abs() + torch.exp(-z.abs()) - 0.75
    )  # Jordan et al., appendix A
    torch.testing.assert_close(crps(distribution, y), closed, atol=1e-3, rtol=1e-3)


def test_crps_of_a_point_is_its_distance():
    sharp = FourierDensity(torch.cat((torch.ones(400), torch.zeros(400))).double(), -1, 1)
    far = crps(sharp, tensor(0.5)[0])
    assert abs(far - 0.5) < 0.02
    assert crps(sharp, tensor(0.0)[0]) < 0.02


def test_crps_without_mean_is_infinite():
    distribution = StudentT(tensor(1.0), tensor(0.0), tensor(1.0))
    assert crps(distribution, tensor(0.5)).isposinf().all()


@pytest.mark.parametrize("name", SMOOTH)
def test_roughness_is_its_integral(name):
    distribution = real(name)

    def square_of_slope(x):
        x = x.requires_grad_()
        (slope,) = torch.autograd.grad(distribution.log_prob(x).exp().sum(), x)
        return slope.square()

    torch.testing.assert_close(
        roughness(distribution), integrate(square_of_slope, distribution), rtol=1e-6, atol=1e-9
    )


def test_roughness_of_a_histogram_is_a_finite_difference():
    distribution = real("Histogram(Categorical)")
    expected = 0.0
    width = [b - a for a, b in pairwise(EDGES)]
    density = [distribution.cells.probs[k].item() / width[k] for k in range(len(width))]
    for k in range(len(width) - 1):
        distance = (width[k] + width[k + 1]) / 2
        expected += (density[k + 1] - density[k]) ** 2 / distance
    assert roughness(distribution).item() == pytest.approx(expected)


@pytest.mark.parametrize("eps", [0.0, 1e-4])
def test_roughness_of_fourier_cells_is_the_limit_of_fine_ones(eps):
    coefficients = randn(10)
    cells = FourierCategorical(coefficients, 4000, eps)
    edges = torch.linspace(-2, 2, 4001, dtype=torch.float64)
    fine, plain = Histogram(cells, edges), Categorical(cells.logits)
    for closed, stepwise in ((fine, Histogram(plain, edges)), (cells, plain)):
        torch.testing.assert_close(roughness(closed), roughness(stepwise), rtol=1e-3, atol=0)


@pytest.mark.parametrize("size", [5, 40, 4000])
def test_roughness_of_fourier_cells_is_that_of_the_density_they_resolve(size):
    coefficients = randn(3, 10)
    edges = torch.linspace(-2, 2, size + 1, dtype=torch.float64)
    distribution = Histogram(FourierCategorical(coefficients, size), edges)
    torch.testing.assert_close(
        roughness(distribution), roughness(FourierDensity(coefficients, -2, 2))
    )


@pytest.mark.parametrize("size", [5, 40, 4000])
def test_roughness_of_even_cells_is_that_of_the_density_they_resolve(size):
    coefficients = randn(3, 10)
    edges = torch.linspace(-2, 2, size + 1, dtype=torch.float64)
    cells = EvenFourierCells(FourierCategorical(coefficients, 2 * size))
    density = EvenFourierDensity(coefficients, -2, 2)
    torch.testing.assert_close(roughness(Histogram(cells, edges)), roughness(density))
    if size == 4000:
        fine = Histogram(Categorical(cells.logits), edges)
        torch.testing.assert_close(roughness(density), roughness(fine), rtol=1e-3, atol=0)
        numbered = roughness(Categorical(cells.logits))
        torch.testing.assert_close(roughness(cells), numbered, rtol=1e-3, atol=0)


def test_roughness_does_not_count_point_masses():
    coefficients, logits = randn(3, 10), randn(3, 3, seed=1)
    half = torch.cat((logits[:, :2], logits[:, :2].logsumexp(-1, keepdim=True)), -1)
    density, edges = EvenFourierDensity(coefficients, -2, 2), tensor(*EDGES)
    cells = EvenFourierCells(FourierHistogram(coefficients, CIRCLE))
    with_atoms = CategoricalWithAtoms(half, cells, (0, 7))
    for mixed, smooth in (
        (WithAtoms(density, half, (-2.0, 2.0)), density),
        (with_atoms, cells),
        (Histogram(with_atoms, edges), Histogram(cells, edges)),
    ):
        torch.testing.assert_close(roughness(mixed), roughness(smooth) / 4)


def test_roughness_between_edges_is_that_of_the_density_there():
    coefficients = randn(3, 10)
    distribution = Histogram(FourierHistogram(coefficients, EDGES), tensor(*EDGES))
    density = FourierDensity(coefficients, EDGES[0], EDGES[-1])
    torch.testing.assert_close(roughness(distribution), roughness(density))


def test_roughness_with_special_outcomes_is_that_of_the_ordered_ones():
    ordered = FourierCategorical(randn(3, 10), 4000)
    distribution = CategoricalWithSpecials(randn(3, 3), ordered)
    bare = (
        distribution.probs[:, 2:].diff(dim=-1).square().sum(-1)
    )  # between neighbors in the order
    # of the steps between 4000 cells, the sum lacks the one from the last to the first
    torch.testing.assert_close(roughness(distribution), bare, rtol=3e-3, atol=0)


def test_coefficient_power_is_the_sum_over_autocorrelations():
    a = torch.complex(*randn(2, 7).unbind())
    c = [(a[k:] * a[: 7 - k].conj()).sum() for k in range(7)]
    expected = 4 * math.pi**2 * sum(k**2 * abs(c[k]) ** 2 for k in range(7))
    rows = torch.cat((a.real, a.imag))
    for distribution in (FourierCategorical(rows, 20), FourierDensity(rows, 0, 9)):
        assert coefficient_power(distribution).item() == pytest.approx(expected.item(), rel=1e-12)


def test_coefficient_power_sees_through_units_and_vectors():
    rows = randn(3, 10)
    cells = FourierCategorical(rows, 8)
    expected = coefficient_power(cells)
    histogram = Histogram(cells, tensor(*EDGES))
    moved = Affine(histogram, tensor(1.0), tensor(5.0))
    torch.testing.assert_close(coefficient_power(moved), expected)
    torch.testing.assert_close(coefficient_power(Independent(moved, 1)), expected.sum())
    others = (
        FourierHistogram(rows, EDGES),
        CategoricalWithSpecials(randn(3, 2), cells),
        TransformedFourier(rows, TanhWarp(), 0.5, 2.0),
        EvenFourierCells(cells),
        EvenFourierDensity(rows, 0, 9),
        CategoricalWithAtoms(randn(3, 2), cells, (5,)),
        WithAtoms(FourierDensity(rows, 0, 9), randn(3, 2), (5.0,)),
    )
    for distribution in others:
        torch.testing.assert_close(coefficient_power(distribution), expected)


@pytest.mark.parametrize("name", ["Categorical", "Histogram(Categorical)", "Affine(StudentT)"])
def test_coefficient_power_needs_coefficients(name):
    distribution = DISCRETE[name]((), torch.float64) if name in DISCRETE else real(name)
    with pytest.raises(TypeError, match=r"^A \w+ is not made of Fourier coefficients; [^\n]*\.$"):
        coefficient_power(distribution)


def test_roughness_needs_a_formula():
    with pytest.raises(TypeError, match="roughness of a Laplace is unknown"):
        roughness(Laplace(tensor(0.0), tensor(1.0)))


def test_log_normalizer_reads_raw_logits():
    logits = tensor(*range(8)).view(2, 4) * 100
    distribution = Categorical(logits)
    torch.testing.assert_close(log_normalizer(distribution), logits.logsumexp(-1))
    edges = tensor(0, 1, 2, 4, 5)
    histogram = Histogram(distribution, edges)
    torch.testing.assert_close(log_normalizer(histogram), logits.logsumexp(-1))
    scaled = Affine(histogram, tensor(1.0), tensor(2.0))
    torch.testing.assert_close(log_normalizer(scaled), logits.logsumexp(-1))
    vector = Independent(histogram, 1)
    torch.testing.assert_close(log_normalizer(vector), logits.logsumexp(-1).sum())


@pytest.mark.parametrize("name", ["FourierDensity", "Histogram(FourierCategorical)", "Normal"])
def test_log_normalizer_names_distributions_without_logits(name):
    with pytest.raises(TypeError, match="has no raw logits"):
        log_normalizer(real(name))


def test_quadrature_integrates_over_levels():
    levels, weights = levels_and_weights(tensor(0.0))
    torch.testing.assert_close(
        (weights * levels.square()).sum(), tensor(1 / 3)[0], atol=1e-5, rtol=0
    )
    logs = (weights * levels.log()).sum()
    torch.testing.assert_close(logs, tensor(-1.0)[0], atol=3e-5, rtol=0)
