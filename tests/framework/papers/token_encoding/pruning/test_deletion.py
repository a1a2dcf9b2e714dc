"""Deletions: one result by zeros, by a narrower matrix and by what states lose; budgets."""

import math

import numpy as np
import pytest
import torch

from framework.papers.token_encoding.pruning.deletion import (
    Deletion,
    affordable,
    require_budget,
    share,
)
from framework.papers.token_encoding.pruning.orders import AxisOrder, RotatedOrder
from tests.framework.papers.token_encoding.pruning.uneven import DIM, SIZE, uneven


def order_of(name, own, known):
    if name == "rotated":
        return RotatedOrder(own.weight, known.covariance)
    return AxisOrder(known.covariance.diagonal())


@pytest.mark.parametrize("name", ["axis", "rotated"])
@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_the_read_out_that_is_written_gives_the_logits_that_are_measured(name, folded, bias):
    own, known, other = uneven(bias=bias)
    mean = known.mean if folded else None
    deletion = Deletion(order_of(name, own, known), 5, mean)
    zeroed = deletion.zeroed(own)
    assert zeroed.weight.shape == (SIZE, DIM)
    assert (zeroed.bias is None) == (not folded and not bias)
    logits = zeroed.logits(other.hidden)
    torch.testing.assert_close(
        logits, own.logits(deletion.states(other.hidden)), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("folded", [False, True])
def test_a_narrower_matrix_says_the_same(folded):
    own, known, other = uneven(bias=True)
    deletion = Deletion(order_of("axis", own, known), 5, known.mean if folded else None)
    narrow, kept = deletion.physical(own), deletion.order.kept(5)
    assert narrow.weight.shape == (SIZE, DIM - 5)
    assert torch.equal(narrow.weight, own.weight[:, kept])  # bit by bit
    expected = deletion.zeroed(own).logits(other.hidden).softmax(-1)
    found = narrow.logits(other.hidden[:, kept]).softmax(-1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_the_mean_of_what_is_deleted_becomes_a_constant_of_each_token():
    """The constants are the sum of E_i mean_i over deleted dimensions, by a loop."""
    own, known, _ = uneven(bias=True)
    order = AxisOrder(torch.arange(DIM))
    folded = Deletion(order, 3, known.mean).zeroed(own)
    for token in range(SIZE):
        constant = own.bias[token].item() + sum(
            own.weight[token, i].item() * known.mean[i].item() for i in range(3)
        )
        assert folded.bias[token].item() == pytest.approx(constant, rel=1e-5, abs=1e-6)
    assert torch.equal(folded.weight[:, 3:], own.weight[:, 3:])
    assert not folded.weight[:, :3].any()


def test_nothing_deleted_changes_nothing():
    own, known, _ = uneven()
    for name in ("axis", "rotated"):
        same = Deletion(order_of(name, own, known), 0).zeroed(own)
        assert torch.equal(same.weight, own.weight)
        assert same.bias is None


def test_something_must_be_left():
    order = AxisOrder(torch.arange(DIM))
    for count in (-1, DIM):
        with pytest.raises(ValueError, match=rf"Deletion: {count} of 12 .*\.$"):
            Deletion(order, count)


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (-0.1, r"fraction=-0.1 is no share"),
        (1.0, r"fraction=1.0 is no share"),
        (math.nan, r"fraction=nan is no share"),
        (0.97, r"fraction=0.97 deletes all 12 dimensions.*0.9167 at most"),
        (0.01, r"fraction=0.01 of 12 dimensions is none; give at least 0.08333"),
    ],
)
def test_fractions_out_of_range_end_in_one_sentence(fraction, said):
    with pytest.raises(ValueError, match=rf"^prune: {said}[^\n]*\.$"):
        share(fraction, DIM)


def test_a_share_is_counted_to_the_nearest():
    assert [share(f, DIM) for f in (0.0, 0.1, 0.3, 0.5, 0.9)] == [0, 1, 4, 6, 11]


def test_a_budget_allows_what_a_search_of_all_counts_finds():
    costs = np.cumsum(np.random.default_rng(0).exponential(size=DIM)) - 0.1
    for budget in (costs[0], costs[1], 0.5 * (costs[3] + costs[4]), costs[-1] + 1):
        expected = max(n for n in range(DIM) if costs[n] <= budget)
        assert affordable(budget, costs.__getitem__, 0, DIM) == expected
        if expected > 2:
            assert affordable(budget, costs.__getitem__, 2, DIM) == expected


@pytest.mark.parametrize("budget", [0.0, -1.0, math.inf, math.nan])
def test_budgets_that_are_none_end_in_one_sentence(budget):
    with pytest.raises(ValueError, match=r"^prune: kl_budget=.* is no budget; [^\n]*\.$"):
        require_budget("kl_budget", budget)
