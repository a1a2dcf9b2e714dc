"""Edits: invalid requests, and rules that do not apply."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from components.backbones import Decoder
from components.heads import FanHead
from components.layers.norms import LayerNorm, RMSNorm
from framework.analysis import Sample
from framework.papers.token_encoding import gather, readout
from framework.papers.token_encoding.editing.directions import applicable, know
from framework.papers.token_encoding.editing.effects import measure
from framework.papers.token_encoding.editing.rules import EditRequest, named, rules
from framework.papers.token_encoding.editing.study import strata
from framework.papers.token_encoding.pruning.head import PrunedHead
from tests.framework.papers.myopic.models import Windows
from tests.framework.papers.token_encoding.editing.readouts import know as know_contexts
from tests.framework.papers.token_encoding.editing.readouts import make
from tests.framework.papers.token_encoding.models import language_model

DECODER = partial(Decoder, dim=8, depth=1, heads=2)


def refusals(module):
    statistics = gather(module, Sample(Windows(20)))
    return applicable(know(readout(module), statistics, torch.float32))[1]


def request(tokens, scale):
    return EditRequest(
        torch.tensor(tokens), torch.tensor(scale).double(), [f"t{w}" for w in tokens]
    )


def test_ln_exact_is_for_a_layer_norm_right_before_a_linear_head():
    assert "ln-exact" not in refusals(language_model())
    for module in (
        language_model(backbone=partial(DECODER, norm=RMSNorm)),
        language_model(head=FanHead),
        language_model(head=partial(PrunedHead, kept=5)),
    ):
        assert "ln-exact needs a vector" in refusals(module)["ln-exact"]


def test_ln_exact_needs_a_bias_of_the_norm():
    module = language_model(backbone=partial(DECODER, norm=LayerNorm))
    with torch.no_grad():
        module.backbone.norm.bias.zero_()
    assert "ln-exact needs a vector" in refusals(module)["ln-exact"]


def test_a_slope_needs_more_tokens_than_dimensions():
    """Seven tokens in eight dimensions: the probe says so, other directions apply."""
    refused = refusals(language_model())
    assert set(refused) == {"mlr", "mlr-gain"}


@pytest.mark.parametrize(
    ("tokens", "scale", "said"),
    [
        ([], [], "needs a token"),
        ([3], [0.0], "scale 0 of t3 is not positive"),
        ([3], [float("nan")], "scale nan of t3"),
        ([3], [float("inf")], "scale inf of t3"),
        ([3], [1.0], "scale 1 of t3 would change nothing"),
        ([3, 3], [2.0, 0.5], "token 3 .* is named twice"),
    ],
)
def test_invalid_requests(tokens, scale, said):
    with pytest.raises(ValueError, match=said):
        request(tokens, scale)


def test_rules_scale_as_asked_and_say_what_they_cannot():
    own, contexts = make()
    requested = request([3, 17], [2.0, 0.5])
    found, refused = rules(know_contexts(contexts), own, contexts, requested)
    assert set(refused) == {"ln-exact"}
    assert [str(rule) for rule in found[:2]] == ["whiten", "whiten, calibrated"]
    for rule, effect in zip(found, measure(own, contexts, requested, found), strict=True):
        assert effect.kl > 0
        assert 0 < effect.js < torch.tensor(2.0).log()
        if rule.calibrated:
            assert effect.error(requested) < 1e-6
    across = torch.eye(16, dtype=torch.float64)[0] - torch.eye(16, dtype=torch.float64)[1]
    known = replace(know_contexts(contexts), slope=lambda: across)  # shifts of both signs
    _, refused = rules(known, own, contexts, request([3], [0.01]))
    assert "largest scales that it reaches are" in refused[named("mlr", True)]


def test_scales_that_leave_nothing_are_refused():
    own, contexts = make()
    alpha = contexts.log_probs(own, torch.tensor([3, 17])).exp().mean(0)
    share = [0.5 / alpha[0].item(), 0.6 / alpha[1].item()]
    below = f"{share[0] / 1.1:.4g} of t3, {share[1] / 1.1:.4g} of t17"
    with pytest.raises(ValueError, match=f"must stay below {below}"):
        rules(know_contexts(contexts), own, contexts, request([3, 17], share))


def test_strata_hold_tokens_of_all_probabilities():
    alpha = torch.rand(4096, generator=torch.Generator().manual_seed(0))
    chosen = strata(alpha)
    ranks = alpha.argsort(descending=True).argsort()[chosen]
    assert ranks.tolist() == sorted(set(ranks.tolist()))
    edges = torch.tensor([0, 20, 102, 410, 1229, 2458, 4096])
    counts = torch.histogram(ranks.double(), edges.double()).hist
    assert counts.tolist() == [10] * 6
    assert len(strata(torch.rand(30))) < 30
