"""Distributions are computed in float32 whatever precision a network uses."""

import pytest
import torch
from every_distribution import DISCRETE, EDGES, MIXED, REAL, discrete, randn, real, tensor

from components.distributions import (
    Categorical,
    CategoricalWithAtoms,
    Censored,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierDensity,
    FourierHistogram,
    Histogram,
    Mixture,
    Quantiles,
    StudentT,
    WithAtoms,
)
from components.distributions.roughness import roughness
from components.distributions.scores import crps


@pytest.mark.parametrize("name", REAL)
def test_float32_agrees_with_float64(name):
    fine, coarse = real(name, 3), real(name, 3, dtype=torch.float32)
    x, u = tensor(-0.6, 0.2, 1.1), tensor(0.1, 0.5, 0.97)
    pairs = (
        (fine.log_prob(x), coarse.log_prob(x.float())),
        (fine.cdf(x), coarse.cdf(x.float())),
        (fine.icdf(u), coarse.icdf(u.float())),
        (fine.mean, coarse.mean),
        (fine.variance, coarse.variance),
        (fine.entropy(), coarse.entropy()),
        (crps(fine, x), crps(coarse, x.float())),
        (roughness(fine), roughness(coarse)),
    )
    for exact, rounded in pairs:
        torch.testing.assert_close(rounded.double(), exact, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("name", MIXED)
def test_float32_agrees_with_float64_beside_atoms(name):
    fine, coarse = real(name, 3), real(name, 3, dtype=torch.float32)
    x, u = tensor(-0.6, 0.25, 1.5), tensor(0.1, 0.5, 0.97)
    pairs = (
        (fine.log_prob(x), coarse.log_prob(x.float())),
        (fine.cdf(x), coarse.cdf(x.float())),
        (fine.icdf(u), coarse.icdf(u.float())),
        (fine.mean, coarse.mean),
        (fine.variance, coarse.variance),
        (fine.entropy(), coarse.entropy()),
        (crps(fine, x), crps(coarse, x.float())),
    )
    for exact, rounded in pairs:
        assert rounded.dtype == torch.float32
        torch.testing.assert_close(rounded.double(), exact, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("name", DISCRETE)
def test_float32_probabilities_agree_with_float64(name):
    fine, coarse = discrete(name, 3), discrete(name, 3, dtype=torch.float32)
    assert coarse.probs.dtype == torch.float32
    torch.testing.assert_close(coarse.probs.double(), fine.probs, atol=1e-6, rtol=1e-4)


FOURIER = {
    "FourierDensity": lambda a: FourierDensity(a, -1.0, 2.0),
    "EvenFourierDensity": lambda a: EvenFourierDensity(a, -1.0, 2.0),
    "FourierCategorical": lambda a: FourierCategorical(a, 9),
    "FourierHistogram": lambda a: FourierHistogram(a, EDGES),
    "EvenFourierCells": lambda a: EvenFourierCells(FourierCategorical(a, 18)),
}


@pytest.mark.parametrize("make", FOURIER.values(), ids=FOURIER)
@pytest.mark.parametrize("scale", [1e-30, 1e-16, 5e17, 1e30])
def test_the_scale_of_coefficients_is_irrelevant(make, scale):
    """Also where float32 has no room for their squares."""
    usual = randn(3, 12, dtype=torch.float32).requires_grad_()
    scaled = (usual.detach() * scale).requires_grad_()
    expected, found = make(usual), make(scaled)
    value = torch.tensor([0.0, 1.0, 2.0])
    for one, a in ((expected, usual), (found, scaled)):
        one.log_prob(value).sum().backward()
        assert a.grad.isfinite().all()
    torch.testing.assert_close(scaled.grad * scale, usual.grad, rtol=1e-4, atol=1e-5)
    for name in ("log_prob", "entropy", "correlations"):
        one, other = (getattr(x, name) for x in (expected, found))
        args = (value,) if name == "log_prob" else ()
        pair = (one(*args), other(*args)) if callable(one) else (one, other)
        torch.testing.assert_close(*pair, rtol=1e-5, atol=1e-6)
    assert torch.stack([x.sample((5,)) for x in (expected, found)]).isfinite().all()


def positive(a):
    return a.abs().clamp_min(0.125)  # exact in every dtype


HALF = {
    "Categorical": lambda a: Categorical(a),
    "FourierCategorical": lambda a: FourierCategorical(a, 9),
    "Histogram": lambda a: Histogram(Categorical(a), torch.linspace(0, 1, 9)),
    "FourierDensity": lambda a: FourierDensity(a, 0, 1),
    "StudentT": lambda a: StudentT(positive(a[..., 0]), a[..., 1], positive(a[..., 2])),
    "Mixture": lambda a: Mixture(a[..., :2], a[..., 2:4], positive(a[..., 4:6])),
    "Quantiles": lambda a: Quantiles(a[..., :3], torch.tensor([0.1, 0.5, 0.9])),
    "EvenFourierDensity": lambda a: EvenFourierDensity(a, 0, 1),
    "Histogram of even cells with atoms": lambda a: Histogram(
        CategoricalWithAtoms(
            a[..., :3], EvenFourierCells(FourierCategorical(a[..., 3:7], 16)), (0, 7)
        ),
        torch.linspace(0, 1, 9),
    ),
}
MIXED_OF_HALF = {
    "WithAtoms": lambda a: WithAtoms(
        EvenFourierDensity(a[..., 3:7], 0, 2), a[..., :3], (0.0, 1.0)
    ),
    "Censored": lambda a: Censored(
        StudentT(positive(a[..., 0]), a[..., 1], positive(a[..., 2])), 0.0, 1.0
    ),
}


@pytest.mark.parametrize("name", HALF)
def test_distributions_of_bfloat16_parameters_are_float32(name):
    torch.manual_seed(0)
    layer, states = torch.nn.Linear(4, 8), torch.randn(3, 5, 4)
    value = torch.randint(0, 2, (3, 5))
    with torch.autocast("cpu", torch.bfloat16):
        parameters = layer(states)
        assert parameters.dtype == torch.bfloat16
        distribution = HALF[name](parameters)
        log_prob = distribution.log_prob(value)
        results = [log_prob, distribution.entropy(), distribution.mean, distribution.variance]
        if name not in ("Categorical", "FourierCategorical"):
            level = torch.full((3, 5), 0.3)
            results += [
                distribution.icdf(level),
                distribution.cdf(level),
                crps(distribution, level),
                roughness(distribution),
            ]
        log_prob.sum().backward()
    assert {result.dtype for result in results} == {torch.float32}
    assert layer.weight.grad.isfinite().all()
    exact = HALF[name](parameters.detach().double()).log_prob(value)
    torch.testing.assert_close(log_prob.double(), exact, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", MIXED_OF_HALF)
def test_mixed_distributions_of_bfloat16_parameters_are_float32(name):
    parameters = torch.randn(3, 5, 8).bfloat16()
    distribution, value = MIXED_OF_HALF[name](parameters), torch.randint(0, 2, (3, 5))
    log_prob = distribution.log_prob(value)
    assert {log_prob.dtype, distribution.mean.dtype, distribution.entropy().dtype} == {
        torch.float32
    }
    exact = MIXED_OF_HALF[name](parameters.double()).log_prob(value)
    torch.testing.assert_close(log_prob.double(), exact, atol=1e-4, rtol=1e-4)


def test_raw_logits_are_kept_as_they_came():
    logits = torch.randn(3, 5).bfloat16()
    assert Categorical(logits).logits is logits


def test_edges_and_values_may_differ_in_dtype():
    distribution = Histogram(Categorical(torch.zeros(4)), torch.linspace(0, 4, 5))
    for value in (torch.tensor(2), torch.tensor(2.0).double(), torch.tensor(2.0).bfloat16()):
        assert distribution.log_prob(value).item() == pytest.approx(-1.3862943611)


def test_values_beyond_the_edges_score_in_the_end_cells():
    distribution = Histogram(
        Categorical(torch.tensor([1.0, 2.0, 3.0])), torch.tensor([0.0, 1.0, 2.0, 4.0])
    )
    inside = distribution.log_prob(torch.tensor([0.5, 3.0]))
    assert torch.equal(distribution.log_prob(torch.tensor([-9.0, 9.0])), inside)
    density = FourierDensity(torch.tensor([1.0, 0.3, 0.2, 0.1]), 0, 2)
    at_bounds = density.log_prob(torch.tensor([0.0, 2.0]))
    assert torch.equal(density.log_prob(torch.tensor([-7.0, 2.5])), at_bounds)


def test_non_contiguous_rows_are_read_in_place():
    a = torch.randn(8, 5, 3).movedim(0, -1)
    index = torch.randint(0, 6, (3, 5)).T
    same = FourierCategorical(a.contiguous(), 6).log_prob(index.contiguous())
    torch.testing.assert_close(FourierCategorical(a, 6).log_prob(index), same)
    same = Categorical(a.contiguous()).log_prob(index.contiguous())
    torch.testing.assert_close(Categorical(a).log_prob(index), same)


def test_mismatched_edges_and_levels_are_named():
    with pytest.raises(ValueError, match="Histogram: 4 cells have 5 edges"):
        Histogram(Categorical(torch.zeros(4)), torch.linspace(0, 1, 4))
    with pytest.raises(ValueError, match="Quantiles: levels"):
        Quantiles(torch.zeros(3, 4), torch.tensor([0.2, 0.8]))


def test_crossing_quantiles_are_sorted():
    levels = torch.tensor([0.1, 0.5, 0.9])
    distribution = Quantiles(torch.tensor([1.0, -1.0, 0.5]), levels)
    torch.testing.assert_close(distribution.icdf(levels), torch.tensor([-1.0, 0.5, 1.0]))
    tied = Quantiles(torch.tensor([1.0, 1.0, 2.0]), levels)
    assert tied.log_prob(torch.tensor([0.9, 1.0, 3.0])).isfinite().all()
