"""Special outcomes against the product of two softmaxes; order statistics of indices."""

import pytest
import torch
from every_distribution import DISCRETE, discrete, randn

from components.distributions import Categorical, CategoricalWithSpecials


def test_probabilities_are_products():
    logits, cells = randn(4, 3), randn(4, 6, seed=1)
    distribution = CategoricalWithSpecials(logits, Categorical(cells))
    weights, within = logits.softmax(-1), cells.softmax(-1)
    expected = torch.cat((weights[:, :2], weights[:, 2:] * within), -1)
    torch.testing.assert_close(distribution.probs, expected)
    every = torch.arange(8).unsqueeze(-1)
    torch.testing.assert_close(distribution.log_prob(every).exp(), expected.T)
    torch.testing.assert_close(distribution.logits, expected.log())


def test_gradient_is_that_of_the_product():
    logits, cells = randn(4, 3).requires_grad_(), randn(4, 6, seed=1).requires_grad_()
    target = torch.tensor([0, 1, 2, 7])
    CategoricalWithSpecials(logits, Categorical(cells)).log_prob(target).sum().backward()
    found = logits.grad.clone(), cells.grad.clone()
    logits.grad = cells.grad = None
    weights, within = logits.log_softmax(-1), cells.log_softmax(-1)
    whole = torch.cat((weights[:, :2], weights[:, 2:] + within), -1)
    whole.gather(-1, target.unsqueeze(-1)).sum().backward()
    torch.testing.assert_close(found, (logits.grad, cells.grad))
    assert (found[1][:2] == 0).all()  # a special outcome says nothing about the others


@pytest.mark.parametrize("name", DISCRETE)
def test_distribution_functions_of_indices_are_sums(name):
    distribution = discrete(name, 3)
    for index in (-1, 0, 3, distribution.size - 1, distribution.size + 5):
        expected = distribution.probs[:, : max(index + 1, 0)].sum(-1)
        torch.testing.assert_close(distribution.cdf(torch.tensor(index)), expected)
        torch.testing.assert_close(distribution.cdf(torch.tensor(index + 0.5)), expected)


@pytest.mark.parametrize("name", DISCRETE)
def test_quantiles_of_indices_are_the_first_that_suffice(name):
    distribution = discrete(name, 3)
    for level in (0.0, 0.1, 0.5, 0.99):
        found = distribution.quantile(torch.tensor(level, dtype=torch.float64))
        for row, index in enumerate(found.tolist()):
            assert distribution.probs[row, : index + 1].sum() >= level - 1e-12
            assert index == 0 or distribution.probs[row, :index].sum() < level
