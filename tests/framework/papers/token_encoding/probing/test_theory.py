"""Predictions from moments: exact for a normal distribution of logits, and never too small."""

import pytest
import scipy.stats
import torch

from framework.papers.token_encoding.probing.theory import agreement, first_order, second_order
from tests.framework.papers.token_encoding.probing.measured import draw, log_probs, measure


@pytest.mark.parametrize("bias", [False, True])
def test_orders_are_cumulants_of_logits(bias):
    """Against mean and variance of the logits of each token, which a loop finds."""
    own, hidden = draw(bias=bias)
    statistics = measure(own, hidden)
    logits = hidden @ own.weight.double().T
    first = statistics.log_z - logits.mean(0)
    torch.testing.assert_close(first_order(own, statistics), first)
    second = first - logits.var(0, correction=0) / 2
    torch.testing.assert_close(second_order(own, statistics), second)


def test_the_first_order_is_the_geometric_mean():
    own, hidden = draw()
    statistics = measure(own, hidden)
    geometric = -log_probs(own, hidden).mean(0)
    torch.testing.assert_close(first_order(own, statistics), geometric)
    assert (first_order(own, statistics) + statistics.alpha.log()).min() >= 0


def test_both_hold_for_concentrated_logits():
    """The error is that of the next cumulant: in the scale it falls by its power."""
    own, hidden = draw()
    errors = []
    for scale in (0.02, 0.01):
        statistics = measure(own, 1 + (hidden - 1) * scale)
        truth = -statistics.alpha.log()
        first = (first_order(own, statistics) - truth).abs().max()
        errors.append(first.item())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)


def test_agreement_is_r2_and_pearsons_correlation():
    generator = torch.Generator().manual_seed(0)
    target, predicted = torch.randn(2, 50, generator=generator, dtype=torch.float64)
    found = agreement(target, predicted)
    share = (target - predicted).square().sum() / (target - target.mean()).square().sum()
    assert found.r2 == pytest.approx(1 - share.item())
    expected = scipy.stats.pearsonr(target.numpy(), predicted.numpy()).statistic
    assert found.correlation == pytest.approx(expected)
