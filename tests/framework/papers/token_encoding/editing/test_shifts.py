"""Closed forms of edits against a softmax of logits with the rows replaced."""

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from framework.papers.token_encoding.editing.directions import whiten
from framework.papers.token_encoding.editing.effects import averages
from framework.papers.token_encoding.editing.shifts import Shifted
from framework.papers.token_encoding.readout import Readout
from tests.framework.papers.token_encoding.editing.readouts import know, make

TOKENS = torch.tensor([3, 17, 40])
AMOUNT = torch.tensor([2.3, -1.1, 0.7]).double()


@pytest.fixture(params=[False, True], ids=["plain", "bias"], scope="module")
def edit(request):
    """A read-out and contexts, a closed-form edit of three rows, and distributions around it."""
    own, contexts = make(bias=request.param)
    push = whiten(know(contexts))
    shifted = Shifted(
        contexts.log_probs(own, TOKENS), push.profile(contexts.hidden)[:, None] * AMOUNT
    )
    weight = own.weight.double()
    weight[TOKENS] += AMOUNT[:, None] * push.row
    bias = None if own.bias is None else own.bias.double()
    hidden = contexts.hidden.double()
    before = torch.nn.functional.linear(hidden, own.weight.double(), bias)
    after = torch.nn.functional.linear(hidden, weight, bias)
    return own, contexts, shifted, Categorical(logits=before), Categorical(logits=after)


def test_probabilities_are_those_of_the_replaced_rows(edit):
    _, _, shifted, before, after = edit
    moved = shifted.log_moved.exp()
    torch.testing.assert_close(moved, after.probs[:, TOKENS], rtol=0, atol=1e-6)
    rest = torch.ones(50, dtype=torch.bool)
    rest[TOKENS] = False
    factors = (after.probs / before.probs)[:, rest]
    own = shifted.log_others.exp()[:, None].expand_as(factors)
    torch.testing.assert_close(own, factors, rtol=1e-6, atol=0)
    scale = after.probs.mean(0)[TOKENS] / before.probs.mean(0)[TOKENS]
    torch.testing.assert_close(shifted.log_scale().exp(), scale, rtol=1e-6, atol=0)


def test_divergences_and_losses_are_those_of_whole_distributions(edit):
    _, contexts, shifted, before, after = edit
    expected = kl_divergence(before, after).mean()
    torch.testing.assert_close(shifted.kl(), expected, rtol=1e-5, atol=0)
    middle = Categorical(probs=(before.probs + after.probs) / 2)
    both = (kl_divergence(before, middle) + kl_divergence(after, middle)) / 2
    torch.testing.assert_close(shifted.js(), both.mean(), rtol=1e-5, atol=0)
    came = contexts.target[:, None] == TOKENS
    change = (before.log_prob(contexts.target) - after.log_prob(contexts.target)).mean()
    torch.testing.assert_close(shifted.nll(came), change, rtol=1e-5, atol=1e-8)


def test_averages_of_all_other_tokens(edit, monkeypatch):
    own, contexts, shifted, before, after = edit
    monkeypatch.setattr(
        "framework.papers.token_encoding.editing.effects.CHUNK", 50 * 7
    )  # seven at once
    factors = torch.stack((torch.zeros_like(shifted.log_others), shifted.log_others), 1)
    found = averages(own, contexts, factors)
    torch.testing.assert_close(found[:, 0], before.probs.mean(0), rtol=1e-5, atol=0)
    rest = [token for token in range(50) if token not in TOKENS]
    torch.testing.assert_close(found[rest, 1], after.probs.mean(0)[rest], rtol=1e-5, atol=0)


def test_a_certain_token_can_lose_everything():
    """Rounding may say that nothing is left for other tokens; what comes out is finite."""
    shifted = Shifted(torch.full((4, 1), 1e-7).double(), torch.full((4, 1), -50.0).double())
    assert shifted.log_moved.isfinite().all()
    assert shifted.kl().isfinite()
    assert shifted.js().isfinite()


def test_several_edits_at_once_are_each_alone():
    """Leading axes: 50 edits of one token equal a loop."""
    own, contexts = make()
    log_probs = contexts.log_probs(own, torch.arange(50)).T[..., None]
    together = Shifted(log_probs, torch.tensor(1.5).double())
    for token in (0, 21, 49):
        alone = Shifted(log_probs[token], torch.tensor(1.5).double())
        assert together.kl()[token] == pytest.approx(alone.kl().item(), rel=1e-12)
        assert together.log_scale()[token] == pytest.approx(alone.log_scale().item(), rel=1e-12)


def test_a_read_out_is_not_changed_by_being_averaged():
    own, contexts = make()
    copy = Readout(own.weight.clone(), None)
    averages(own, contexts, torch.zeros(len(contexts), 1).double())
    assert own.fingerprint() == copy.fingerprint()
