"""Gradients to the parameters of every distribution, against finite differences in float64."""

import pytest
import torch
from every_distribution import EDGES, LEVELS, randn, tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.distributions import Normal

from components.distributions import (
    Affine,
    Categorical,
    CategoricalWithAtoms,
    Censored,
    EvenFourierCells,
    EvenFourierDensity,
    FourierCategorical,
    FourierDensity,
    Histogram,
    Mixture,
    Quantiles,
    StudentT,
    WithAtoms,
)
from components.distributions.roughness import roughness
from components.distributions.scores import crps

# A distribution as a function of unconstrained parameters, and the number of those.
DISTRIBUTIONS = {
    "Histogram": (lambda a: Histogram(Categorical(a), tensor(*EDGES)), 8),
    "Histogram of Fourier": (
        lambda a: Histogram(FourierCategorical(a, 8, 0.01), tensor(*EDGES)),
        10,
    ),
    "Histogram of folded Fourier": (
        lambda a: Histogram(FourierCategorical(a, 8), tensor(*EDGES)),
        22,
    ),
    "FourierDensity": (lambda a: FourierDensity(a, -2, 2), 10),
    "StudentT": (lambda a: StudentT(2 + a[..., 0].exp(), a[..., 1], a[..., 2].exp()), 3),
    "Mixture": (lambda a: Mixture(a[..., :2], a[..., 2:4], a[..., 4:].exp()), 6),
    "Quantiles": (lambda a: Quantiles(a.exp().cumsum(-1) - 3, tensor(*LEVELS)), 5),
    "Affine": (
        lambda a: Affine(FourierDensity(a[..., 2:], -2, 2), a[..., 0], a[..., 1].exp()),
        8,
    ),
}
DISTRIBUTIONS |= {
    "EvenFourierDensity": (lambda a: EvenFourierDensity(a, -2, 2), 10),
    "Histogram of even cells with an atom": (
        lambda a: Histogram(
            CategoricalWithAtoms(
                a[..., :2], EvenFourierCells(FourierCategorical(a[..., 2:], 16)), (4,)
            ),
            tensor(*EDGES),
        ),
        12,
    ),
}
MIXED = {
    "WithAtoms": (
        lambda a: WithAtoms(EvenFourierDensity(a[..., 3:], -2, 2), a[..., :3], (-0.9, 0.3)),
        13,
    ),
    "Censored normal": (
        lambda a: Censored(Normal(a[..., 0], a[..., 1].exp(), validate_args=False), -0.9, 1),
        2,
    ),
    "Censored t": (
        lambda a: Censored(StudentT(2 + a[..., 0].exp(), a[..., 1], a[..., 2].exp()), -0.9, 1),
        3,
    ),
    "Censored mixture": (
        lambda a: Censored(Mixture(a[..., :2], a[..., 2:4], a[..., 4:].exp()), -0.9, 1),
        6,
    ),
}
FUNCTIONS = {
    "log_prob": lambda distribution: distribution.log_prob(tensor(-0.9, 0.8)),
    "cdf": lambda distribution: distribution.cdf(tensor(-0.9, 0.8)),
    "icdf": lambda distribution: distribution.icdf(tensor(0.22, 0.81)),
    "mean": lambda distribution: distribution.mean,
    "variance": lambda distribution: distribution.variance,
    "entropy": lambda distribution: distribution.entropy(),
    "crps": lambda distribution: crps(distribution, tensor(-0.9, 0.8)),
    "roughness": roughness,
}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_gradient_to_parameters(name, function):
    make, size = DISTRIBUTIONS[name]
    parameters = randn(2, size, seed=4).requires_grad_()
    assert gradcheck(lambda a: FUNCTIONS[function](make(a)), (parameters,), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("function", [name for name in FUNCTIONS if name != "roughness"])
@pytest.mark.parametrize("name", MIXED)
def test_gradient_to_parameters_beside_atoms(name, function):
    make, size = MIXED[name]
    parameters = randn(2, size, seed=4).requires_grad_()
    assert gradcheck(lambda a: FUNCTIONS[function](make(a)), (parameters,), atol=1e-4)


@pytest.mark.parametrize("name", [name for name in MIXED if name != "Censored t"])  # torch's own
def test_samples_between_atoms_have_the_implicit_gradient(name):
    """Draws of an atom stay where they are."""
    make, size = MIXED[name]
    parameters = randn(2, size, seed=4).requires_grad_()
    distribution = make(parameters)
    torch.manual_seed(0)
    draws = distribution.rsample((20,))
    free = ~distribution.is_atom(draws)
    assert 4 < free.sum() < free.numel()
    below, density = distribution.cdf(draws.detach()), distribution.log_prob(draws).exp().detach()
    (direct,) = torch.autograd.grad(below[free].sum(), parameters, retain_graph=True)
    (through,) = torch.autograd.grad((density * draws)[free].sum(), parameters, retain_graph=True)
    torch.testing.assert_close(through, -direct, rtol=1e-6, atol=1e-8)
    (fixed,) = torch.autograd.grad(draws[~free].sum(), parameters)
    torch.testing.assert_close(fixed, torch.zeros_like(fixed), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "name", [name for name in DISTRIBUTIONS if name != "StudentT"]
)  # torch's own
def test_samples_have_the_implicit_gradient(name):
    make, size = DISTRIBUTIONS[name]
    parameters = randn(2, size, seed=4).requires_grad_()
    distribution = make(parameters)
    torch.manual_seed(0)
    draws = distribution.rsample((3,))
    # F(x(θ); θ) does not depend on θ along a reparametrized draw
    (direct,) = torch.autograd.grad(
        distribution.cdf(draws.detach()).sum(), parameters, retain_graph=True
    )
    density = distribution.log_prob(draws).exp().detach()
    (through,) = torch.autograd.grad((density * draws).sum(), parameters)
    torch.testing.assert_close(through, -direct, rtol=1e-6, atol=1e-8)


def test_fourier_distributions_have_second_derivatives():
    a, x = randn(2, 10).requires_grad_(), tensor(0.3, -0.8).requires_grad_()
    assert gradgradcheck(lambda a: FourierCategorical(a, 8).log_prob(torch.tensor([3, 5])), (a,))
    assert gradgradcheck(lambda a, x: FourierDensity(a, -1, 2).log_prob(x), (a, x))


def test_summaries_read_without_gradient_keep_theirs():
    logits = randn(2, 5).requires_grad_()
    distribution = Categorical(logits)
    with torch.no_grad():
        distribution.probs  # noqa: B018 - a metric reads it first
    distribution.entropy().sum().backward()
    assert logits.grad.abs().max() > 0
