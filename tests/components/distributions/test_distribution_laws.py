"""Laws that every distribution obeys, against quadrature, scipy and finite differences."""

import pytest
import scipy.stats
import torch
from every_distribution import DISCRETE, REAL, discrete, integrate, randn, real
from torch.autograd import gradcheck
from torch.distributions import Independent

from components.distributions import Affine, Categorical
from components.distributions.functionals import probabilities, roughness
from components.distributions.scores import crps
from components.distributions.vectors import components_of, joint

every_real = pytest.mark.parametrize("name", REAL)
every_discrete = pytest.mark.parametrize("name", DISCRETE)
LEVELS = torch.tensor([0.001, 0.07, 0.31, 0.5, 0.62, 0.9, 0.999], dtype=torch.float64)


@every_real
def test_density_integrates_to_one(name):
    distribution = real(name)
    torch.testing.assert_close(
        integrate(lambda x: distribution.log_prob(x).exp(), distribution),
        LEVELS.new_tensor(1.0),
        atol=1e-7,
        rtol=0,
    )


@every_real
def test_moments_are_integrals(name):
    distribution = real(name)
    mean = integrate(lambda x: x * distribution.log_prob(x).exp(), distribution)
    variance = integrate(
        lambda x: (x - mean).square() * distribution.log_prob(x).exp(), distribution
    )
    torch.testing.assert_close(distribution.mean, mean, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(distribution.variance, variance, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(distribution.stddev, variance.sqrt(), atol=1e-5, rtol=1e-5)


@every_real
def test_entropy_is_its_integral(name):
    distribution = real(name)
    expected = integrate(
        lambda x: -distribution.log_prob(x).exp() * distribution.log_prob(x), distribution
    )
    torch.testing.assert_close(distribution.entropy(), expected, atol=2e-5, rtol=0)


@every_real
def test_cdf_differentiates_to_density(name):
    distribution = real(name)
    x = (
        distribution.icdf(LEVELS + 0.0007).detach().requires_grad_()
    )  # off the corners of histograms
    (slope,) = torch.autograd.grad(distribution.cdf(x).sum(), x)
    torch.testing.assert_close(slope, distribution.log_prob(x).exp(), rtol=1e-8, atol=1e-10)
    step = 1e-6
    difference = (distribution.cdf(x + step) - distribution.cdf(x - step)) / (2 * step)
    torch.testing.assert_close(difference, slope, rtol=1e-5, atol=1e-8)


@every_real
def test_icdf_inverts_cdf(name):
    distribution = real(name, 2, 3)
    levels = LEVELS.view(-1, 1, 1)
    torch.testing.assert_close(
        distribution.cdf(distribution.icdf(levels)), levels.expand(-1, 2, 3), atol=1e-10, rtol=0
    )


@every_real
def test_mode_is_highest(name):
    distribution = real(name)
    x = distribution.icdf(torch.linspace(1e-4, 1 - 1e-4, 5001, dtype=torch.float64))
    assert distribution.log_prob(distribution.mode) >= distribution.log_prob(x).max() - 1e-6


@every_real
def test_samples_follow_cdf(name):
    torch.manual_seed(1)
    distribution = real(name)
    draws = distribution.sample((4000,))
    assert draws.shape == (4000,)
    assert not draws.requires_grad
    assert scipy.stats.kstest(distribution.cdf(draws).numpy(), "uniform").pvalue > 1e-3


@every_real
def test_log_prob_has_its_gradient_in_value(name):
    distribution = real(name)
    x = distribution.icdf(LEVELS + 0.0007).detach().requires_grad_()
    assert gradcheck(distribution.log_prob, (x,))


@every_real
def test_icdf_has_its_gradient_in_level(name):
    distribution = real(name)
    assert gradcheck(
        distribution.icdf, ((LEVELS + 0.0007).clamp(0.01, 0.99).requires_grad_(),), atol=1e-4
    )


@every_real
def test_rows_do_not_mix(name):
    distribution = real(name, 2, 3)
    assert distribution.batch_shape == (2, 3)
    x = randn(4, 2, 3, seed=7)
    u = torch.rand(4, 2, 3, dtype=torch.float64)
    for method, argument in (
        (distribution.log_prob, x),
        (distribution.cdf, x),
        (distribution.icdf, u),
    ):
        whole = method(argument)
        assert whole.shape == (4, 2, 3)
        torch.testing.assert_close(method(argument[1]), whole[1])
        torch.testing.assert_close(method(argument[1, 1, 2])[1, 2], whole[1, 1, 2])
    for value in (
        distribution.mean,
        distribution.variance,
        distribution.mode,
        distribution.entropy(),
        roughness(distribution),
    ):
        assert value.shape == (2, 3)
    assert distribution.sample((5,)).shape == (5, 2, 3)
    assert distribution.rsample().shape == (2, 3)
    assert crps(distribution, x).shape == (4, 2, 3)


@every_real
def test_any_value_scores_finitely(name):
    distribution = real(name, dtype=torch.float32)
    x = torch.tensor([-1e4, -3.0, 0.0, 3.0, 1e4], requires_grad=True)
    log_prob = distribution.log_prob(x)
    assert log_prob.isfinite().all()
    if log_prob.requires_grad:  # a histogram is flat
        log_prob.sum().backward()
        assert x.grad.isfinite().all()
    assert ((distribution.cdf(x) >= 0) & (distribution.cdf(x) <= 1 + 1e-6)).all()


@every_real
def test_affine_changes_variables(name):
    base = real(name, 4)
    loc, scale = randn(4, seed=8), randn(4, seed=9).exp()
    distribution = Affine(base, loc, scale)
    x = base.icdf(torch.full((4,), 0.37, dtype=torch.float64))
    y = loc + scale * x
    torch.testing.assert_close(distribution.log_prob(y), base.log_prob(x) - scale.log())
    torch.testing.assert_close(distribution.cdf(y), base.cdf(x))
    torch.testing.assert_close(distribution.icdf(base.cdf(x)), y)
    torch.testing.assert_close(distribution.entropy(), base.entropy() + scale.log())
    torch.testing.assert_close(crps(distribution, y), crps(base, x) * scale)
    torch.testing.assert_close(roughness(distribution), roughness(base) / scale**3)


@every_real
def test_independent_adds_components(name):
    base = real(name, 2, 3)
    distribution = joint(base, (3,))
    x = randn(2, 3, seed=7)
    torch.testing.assert_close(distribution.log_prob(x), base.log_prob(x).sum(-1))
    torch.testing.assert_close(distribution.entropy(), base.entropy().sum(-1))
    torch.testing.assert_close(crps(distribution, x), crps(base, x).sum(-1))
    torch.testing.assert_close(roughness(distribution), roughness(base).sum(-1))
    same = Independent(base, 0, validate_args=False)  # no axis is one of a vector
    torch.testing.assert_close(same.entropy(), base.entropy())
    torch.testing.assert_close(crps(same, x), crps(base, x))
    torch.testing.assert_close(roughness(same), roughness(base))


@every_real
def test_vectors_in_other_units_add_components_in_other_units(name):
    base, x = real(name, 2, 3), randn(2, 3, seed=7)
    loc, scale = torch.ones(2, 1, dtype=torch.float64), randn(3, seed=1).exp()
    moved, each = Affine(joint(base, (3,)), loc, scale), Affine(base, loc, scale)
    torch.testing.assert_close(moved.log_prob(x), each.log_prob(x).sum(-1))
    torch.testing.assert_close(moved.entropy(), each.entropy().sum(-1))
    torch.testing.assert_close(crps(moved, x), crps(each, x).sum(-1))
    torch.testing.assert_close(roughness(moved), roughness(each).sum(-1))
    level = torch.full((2, 3), 0.37, dtype=torch.float64)
    torch.testing.assert_close(components_of(moved).icdf(level), loc + scale * base.icdf(level))


@every_real
def test_probabilities_are_integrals(name):
    distribution = real(name)
    edges = torch.tensor([-3.0, -1.0, 0.0, 0.5, 4.0], dtype=torch.float64)
    torch.testing.assert_close(
        probabilities(distribution, edges),
        distribution.cdf(edges[1:]) - distribution.cdf(edges[:-1]),
    )


def test_affine_refuses_to_invent_rows():
    with pytest.raises(ValueError, match="do not broadcast"):
        Affine(real("Normal", 3), torch.zeros(2, 3), torch.ones(2, 3))


@every_discrete
def test_probabilities_sum_to_one(name):
    distribution = discrete(name, 2, 3)
    torch.testing.assert_close(distribution.probs.sum(-1), torch.ones(2, 3, dtype=torch.float64))
    torch.testing.assert_close(distribution.log_probs.exp(), distribution.probs)
    torch.testing.assert_close(distribution.logits.log_softmax(-1), distribution.log_probs)


@every_discrete
def test_one_outcome_scores_as_among_all(name):
    distribution = discrete(name, 2, 3)
    index = torch.arange(distribution.size).view(-1, 1, 1).expand(-1, 2, 3)
    torch.testing.assert_close(distribution.log_prob(index), distribution.log_probs.movedim(-1, 0))
    torch.testing.assert_close(distribution.log_prob(index[5]), distribution.log_probs[..., 5])
    torch.testing.assert_close(
        distribution.log_prob(index[5, 0, 0].int()), distribution.log_probs[..., 5]
    )


@every_discrete
def test_discrete_summaries_are_torchs(name):
    distribution = discrete(name, 2, 3)
    reference = torch.distributions.Categorical(logits=distribution.log_probs)
    index = torch.arange(distribution.size, dtype=torch.float64)
    mean = (reference.probs * index).sum(-1)
    torch.testing.assert_close(distribution.entropy(), reference.entropy())
    torch.testing.assert_close(distribution.mean, mean)
    torch.testing.assert_close(
        distribution.variance, (reference.probs * index**2).sum(-1) - mean**2
    )
    assert torch.equal(
        distribution.probs.gather(-1, distribution.mode.unsqueeze(-1))[..., 0],
        distribution.probs.amax(-1),
    )


@every_discrete
def test_discrete_samples_follow_probabilities(name):
    torch.manual_seed(0)
    distribution = discrete(name, 2)
    counts = torch.stack(
        [
            torch.bincount(row, minlength=distribution.size)
            for row in distribution.sample((20000,)).T
        ]
    )
    torch.testing.assert_close(counts / 20000, distribution.probs.float(), atol=0.015, rtol=0)


def test_what_cannot_happen_is_never_drawn():
    logits = torch.full((50_000, 4), -torch.inf)
    logits[:, 1] = 0
    assert (Categorical(logits).sample((20,)) == 1).all()


def test_categorical_refuses_what_is_no_outcome():
    with pytest.raises(IndexError, match="out of bounds"):
        discrete("Categorical", 2).log_prob(torch.tensor([1, -100]))
