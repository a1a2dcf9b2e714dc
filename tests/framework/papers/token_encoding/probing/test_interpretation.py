"""Remarks warn where a number means nothing, and only there."""

from dataclasses import replace

import torch

from framework.papers.token_encoding.probing.interpretation import interpret
from framework.papers.token_encoding.probing.probe_report import examine
from tests.framework.papers.token_encoding.probing.measured import draw, measure


def found(scale=1.0, **options):
    own, hidden = draw(size=2000)
    statistics = measure(own, 1 + (hidden - 1) * scale)
    return examine(own, statistics, ("alpha", "frequency"), **options)


def said(examination, untrained=None):
    return "\n".join(interpret(examination, untrained or {}))


def test_concentrated_logits_look_untrained():
    lines = said(found(0.001))
    assert "R² of alpha is nearly 1 at random weights, too" in lines
    assert "outside [0.8, 1.25]" not in lines
    assert "trust no number" not in lines


def test_gains_that_break_the_promise():
    whole = found(0.001)
    alpha = whole.probes["alpha"]
    for gain, how, scale in ((0.5, "under-deliver", "3.2x"), (1.5, "over-deliver", "31.6x")):
        probes = {**whole.probes, "alpha": replace(alpha, gain=gain)}
        lines = said(replace(whole, probes=probes))
        assert f"direction mlr) {how}, about {scale} where 10x is asked for" in lines


def test_tokens_that_are_left_out():
    counts = torch.ones(2000, dtype=torch.int64)
    counts[:7] = 0
    lines = said(found(known=1990, counts=counts))
    assert "10 tokens that fill up the vocabulary are left out." in lines
    assert "7 of 1,990 tokens never occur in the training text" in lines
    assert "float32 has no number" not in lines


def test_what_the_fit_does_not_promise():
    whole = found()
    alpha = whole.probes["alpha"]
    distribution = replace(alpha.regression, adjusted_r2=0.9, cross_validated_r2=0.7)
    worse = replace(alpha, regression=distribution, controls={"permuted": 0.0, "random": -0.2})
    lines = said(replace(whole, probes={**whole.probes, "alpha": worse}, ridge=0.5))
    assert "R² of alpha falls to 0.700 for tokens left out" in lines
    assert "A control of alpha has R² 0.200" in lines
    assert "A ridge of 0.5 shortens the slope" in lines


def test_claims_stand_beside_the_untrained_model():
    whole = found()
    lines = said(whole, {"alpha": 0.9994, "frequency": -0.0061})
    r2 = whole.probes["alpha"].regression.adjusted_r2
    assert f"linear in the rows. Here: adjusted R² {r2:.3f} (0.999 untrained)" in lines
    assert "(-0.006 untrained)" in lines
    assert "untrained" not in said(whole)
    dimensions = {1: 0.1, 2: 0.94 * r2, 4: 0.96 * r2, 8: r2}
    assert "Here: 4 of 8 reach 95% of R²" in said(replace(whole, dimensions=dimensions))
    contexts = {16: 0.5, 64: 0.97, 256: 0.99}
    assert "64 contexts give the slope to a cosine of 0.970" in said(
        replace(whole, contexts=contexts)
    )
    assert "16 contexts give the slope to a cosine of 0.500" in said(
        replace(whole, contexts={16: 0.5})
    )
