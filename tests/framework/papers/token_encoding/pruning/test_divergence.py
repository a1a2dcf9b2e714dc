"""Divergences against scipy; nothing where nothing moves, whatever tokens share."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import log_softmax, rel_entr

from framework.analysis.sample import Sample
from framework.papers.token_encoding import Contexts, Readout, readout
from framework.papers.token_encoding.pruning.deletion import Deletion
from framework.papers.token_encoding.pruning.divergence import by_forward_pass, diverge
from framework.papers.token_encoding.pruning.orders import AxisOrder
from tests.framework.papers.myopic.models import Windows
from tests.framework.papers.token_encoding.models import HEADS, language_model
from tests.framework.papers.token_encoding.pruning.uneven import DIM, uneven

UNTIED = {name: changes for name, changes in HEADS.items() if "tied" not in changes}


def by_scipy(before, after, target):
    """The four means of logits in float64."""
    p, q = log_softmax(before, 1), log_softmax(after, 1)
    rows = np.arange(len(target))
    return (
        rel_entr(np.exp(p), np.exp(q)).sum(1).mean(),
        (jensenshannon(np.exp(p), np.exp(q), axis=1) ** 2).mean(),
        (p[rows, target] - q[rows, target]).mean(),
        (p.argmax(1) == q.argmax(1)).mean(),
    )


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("folded", [False, True])
def test_divergences_are_those_of_scipy(bias, folded):
    own, known, other = uneven(bias=bias)
    mean = known.mean if folded else None
    deletions = [Deletion(AxisOrder(torch.arange(DIM)), count, mean) for count in (1, 4, 9)]
    hidden, weight = other.hidden.double(), own.weight.double()
    constant = 0 if own.bias is None else own.bias.double()
    for deletion, found in zip(deletions, diverge(own, other, deletions), strict=True):
        logits = [(x @ weight.T + constant).numpy() for x in (hidden, deletion.states(hidden))]
        expected = by_scipy(*logits, other.target.numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
        assert found.js < np.log(2)


def test_results_do_not_depend_on_how_many_contexts_are_held():
    own, known, other = uneven()
    deletions = [Deletion(AxisOrder(torch.arange(DIM)), count, known.mean) for count in (2, 7)]
    whole = diverge(own, other, deletions, rows=10_000)
    for rows in (1, 7):
        np.testing.assert_allclose(diverge(own, other, deletions, rows), whole, rtol=1e-5)


def test_nothing_deleted_costs_nothing_at_all():
    own, known, other = uneven(bias=True)
    for mean in (None, known.mean):
        [found] = diverge(own, other, [Deletion(AxisOrder(torch.arange(DIM)), 0, mean)])
        assert found == (0.0, 0.0, 0.0, 1.0)


def test_a_column_that_all_tokens_share_costs_nothing_at_all():
    """A softmax does not see it, however large: what is measured are centered columns."""
    own, _, other = uneven()
    weight = own.weight.clone()
    weight[:, 2] = 300.0
    order = AxisOrder((torch.arange(DIM) != 2).double())
    [found] = diverge(Readout(weight, None), other, [Deletion(order, 1)])
    assert found == (0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize("changes", UNTIED.values(), ids=UNTIED)
def test_a_forward_pass_gives_what_is_computed(changes):
    """The rows of one model are set to what a deletion leaves; the other keeps its own."""
    before, after = (language_model(**changes) for _ in range(2))
    own = readout(before)
    order = AxisOrder(torch.arange(own.weight.shape[1]).flip(0))
    deletion = Deletion(order, 2)
    with torch.no_grad():
        after.head.output_embedding().weight.copy_(deletion.zeroed(own).weight)
    found, contexts = by_forward_pass(before, after, Sample(Windows(9), None, 4))
    assert isinstance(contexts, Contexts)
    assert len(contexts) == Windows(9).batch.weight.sum()
    [closed] = diverge(own, contexts, [deletion])
    assert found.kl > 1e-3
    np.testing.assert_allclose(found, closed, rtol=1e-4, atol=1e-6)
