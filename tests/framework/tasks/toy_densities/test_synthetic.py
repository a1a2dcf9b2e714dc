"""Synthetic outcomes follow the true distribution, which is that of the paper."""

import numpy as np
import pytest
import scipy.stats
import torch

from components.supports import Interval
from framework.data.density.module import DensityData
from framework.tasks.toy_densities import Synthetic
from framework.tasks.toy_densities.processes import Gaussian, SignedBeta, TwoGaussians

PROCESSES = [Gaussian(), TwoGaussians(), SignedBeta()]


def density(process, x, y, z):
    """The distributions as the paper states them, in scipy."""
    match process:
        case Gaussian():
            return scipy.stats.norm(y, 0.1).pdf(z)
        case TwoGaussians():
            return (scipy.stats.norm(x, 0.1).pdf(z) + scipy.stats.norm(y, 0.1).pdf(z)) / 2
        case SignedBeta():
            return scipy.stats.beta(100 * abs(x), 100 * abs(y)).pdf(abs(z)) / 2


def rank(process, x, y, z):
    """Cumulative probability of outcomes under the same distributions."""
    match process:
        case Gaussian():
            return scipy.stats.norm(y, 0.1).cdf(z)
        case TwoGaussians():
            return (scipy.stats.norm(x, 0.1).cdf(z) + scipy.stats.norm(y, 0.1).cdf(z)) / 2
        case SignedBeta():
            absolute = scipy.stats.beta(100 * abs(x), 100 * abs(y)).cdf(abs(z))
            return (1 + np.sign(z) * absolute) / 2


@pytest.mark.parametrize("process", PROCESSES)
def test_truth_is_the_distribution_of_the_paper(process):
    x, y = 0.37, -0.52
    z = np.linspace(-0.99, 0.99, 67)
    distribution = process.truth(torch.tensor([x, y], dtype=torch.float64))
    log_prob = distribution.log_prob(torch.from_numpy(z))
    np.testing.assert_allclose(log_prob.exp(), density(process, x, y, z), rtol=1e-9, atol=1e-150)


@pytest.mark.parametrize("process", PROCESSES)
def test_truth_has_unit_mass_and_its_own_moments(process):
    distribution = process.truth(torch.tensor([[0.3, 0.45], [-0.6, 0.2]], dtype=torch.float64))
    z = torch.linspace(-1.6, 1.6, 200_001, dtype=torch.float64)[:, None]
    p = (
        torch.where(z.abs() < 1, distribution.log_prob(z).exp(), 0)
        if isinstance(process, SignedBeta)
        else distribution.log_prob(z).exp()
    )
    mass, mean = torch.trapezoid(p, z, dim=0), torch.trapezoid(p * z, z, dim=0)
    torch.testing.assert_close(mass, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-6)
    torch.testing.assert_close(distribution.mean, mean, rtol=0, atol=1e-6)
    second = torch.trapezoid(p * z**2, z, dim=0)
    torch.testing.assert_close(distribution.variance, second - mean**2, rtol=0, atol=1e-6)


@pytest.mark.parametrize("process", PROCESSES)
def test_outcomes_are_drawn_from_the_truth(process):
    """The probability integral transform is uniform."""
    features, outcome = process.draw(np.random.default_rng(0), 1000)
    ranks = rank(process, *features.T, outcome)
    assert scipy.stats.kstest(ranks, "uniform").pvalue > 0.01


@pytest.mark.parametrize("process", PROCESSES)
def test_samples_of_the_truth_have_its_moments(process):
    torch.manual_seed(0)
    distribution = process.truth(torch.tensor([0.4, 0.5]).expand(3, 1, 2))
    draws = distribution.sample((20_000,))
    assert draws.shape == (20_000, 3, 1)
    torch.testing.assert_close(draws.mean(0), distribution.mean, rtol=0, atol=0.03)
    torch.testing.assert_close(draws.var(0), distribution.variance, rtol=0.06, atol=0)


def test_features_are_as_in_the_paper():
    for process in (Gaussian(), SignedBeta()):
        x, y = process.draw(np.random.default_rng(0), 2000)[0].T
        assert scipy.stats.kstest((x + 0.8) / 1.6, "uniform").pvalue > 0.01
        assert scipy.stats.kstest((y - x) / 0.1, "norm").pvalue > 0.01
    for v in TwoGaussians().draw(np.random.default_rng(0), 2000)[0].T:
        assert scipy.stats.kstest((v + 0.8) / 1.6, "uniform").pvalue > 0.01


def test_split_of_the_paper():
    """As train_test_split(test_size=0.2, random_state=42) of scikit-learn, which permutes so."""
    data = DensityData(Synthetic(Gaussian(), seed=3))
    features, outcome = Gaussian().draw(np.random.default_rng(3), 5000)
    chosen = np.random.RandomState(42).permutation(5000)[:1000]
    batch = data.dataset("test").__getitems__(list(range(1000)))
    np.testing.assert_array_equal(batch.features, features[chosen].astype(np.float32))
    np.testing.assert_array_equal(batch.target[:, 0], outcome[chosen].astype(np.float32))
    assert len(data.dataset("train")) == 4000
    assert data.spec.support == Interval(-1, 1)
    assert data.spec.features == 2
    assert data.truth(batch).batch_shape == batch.target.shape


def test_too_small_a_sample_is_refused():
    with pytest.raises(ValueError, match="size=4"):
        Synthetic(Gaussian(), size=4)
