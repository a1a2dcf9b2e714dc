"""The probe: exact where theory is, told what to leave out, and finding nothing in noise."""

from dataclasses import replace

import pytest
import torch
from torch.nn.functional import cosine_similarity

from framework.analysis import regress
from framework.papers.token_encoding import Readout, probe
from tests.framework.papers.token_encoding.probing.measured import draw, log_probs, measure


@pytest.mark.parametrize("bias", [False, True])
def test_the_geometric_mean_is_linear(bias):
    """Its slope is -h, its constant the mean of log Z; the target is that of a loop."""
    own, hidden = draw(bias=bias)
    found, known = probe(own, measure(own, hidden), "geometric"), measure(own, hidden)
    expected = -log_probs(own, hidden).mean(0) + (own.bias.double() if bias else 0)
    torch.testing.assert_close(found.target, expected, rtol=0, atol=1e-12)
    assert (found.regression.slope + hidden.mean(0)).abs().max() < 1e-8
    assert abs(found.regression.intercept - known.log_z) < 1e-8
    assert 1 - found.regression.r2 < 1e-12
    assert 1 - found.regression.cross_validated_r2 < 1e-12
    assert found.gain == pytest.approx(1, abs=1e-10)
    assert found.cosine == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("bias", [False, True])
def test_the_averaged_probability(bias):
    """Logits of concentrated contexts: then it is the geometric mean."""
    own, hidden = draw(bias=bias)
    statistics = measure(own, 1 + (hidden - 1) * 1e-4)
    found = probe(own, statistics)
    assert (found.regression.slope + statistics.mean).abs().max() < 1e-3
    assert found.regression.r2 > 1 - 1e-9
    wide = probe(own, measure(own, hidden))
    expected = -log_probs(own, hidden).exp().mean(0).log() + (own.bias.double() if bias else 0)
    torch.testing.assert_close(wide.target, expected, rtol=0, atol=1e-12)
    distribution = regress(own.weight, expected)
    torch.testing.assert_close(wide.regression.slope, distribution.slope)
    torch.testing.assert_close(wide.predicted, distribution.predict(own.weight))
    shift = (hidden @ (-distribution.slope / distribution.slope.square().sum())).mean()
    assert wide.gain == pytest.approx(shift.item(), rel=1e-12)
    angle = cosine_similarity(distribution.slope, -hidden.mean(0), dim=0).item()
    assert wide.cosine == pytest.approx(angle, abs=1e-12)


def test_frequencies_of_tokens_seen():
    """Half a count is added; what never occurs has no frequency."""
    own, hidden = draw()
    counts = torch.arange(300) // 3
    found = probe(own, measure(own, hidden), "frequency", counts=counts)
    assert not found.kept[:3].any()
    assert found.kept[3:].all()
    assert found.target[:3].isnan().all()
    total = counts.sum().item() + 150
    expected = -torch.log((counts[3:].double() + 0.5) / total)
    torch.testing.assert_close(found.target[3:], expected)
    assert found.regression.count == 297
    assert found.predicted.isfinite().all()


def test_counts_are_those_of_the_contexts_unless_given():
    own, hidden = draw()
    own_counts = probe(own, measure(own, hidden), "frequency")
    given = probe(own, measure(own, hidden), "frequency", counts=torch.arange(300))
    torch.testing.assert_close(own_counts.target, given.target, equal_nan=True)


def test_tokens_that_fill_up_the_vocabulary_are_left_out():
    """Rows of zeros, say; and tokens that float32 has no probability for."""
    own, hidden = draw()
    filled = Readout(torch.cat((own.weight, torch.zeros(20, 8))), None)
    statistics = measure(filled, hidden)
    found = probe(filled, statistics, known=300)
    assert found.kept.tolist() == [True] * 300 + [False] * 20
    distribution = regress(own.weight, -statistics.alpha[:300].log())
    torch.testing.assert_close(found.regression.slope, distribution.slope)
    without = statistics.alpha.clone()
    without[5], without[6] = 0, 1e-42
    found = probe(filled, replace(statistics, alpha=without), known=300)
    assert not found.kept[5:7].any()
    assert found.regression.count == 298


def test_r2_among_some_tokens():
    """Among all it is the adjusted one; residuals are corrected as among all."""
    own, hidden = draw(size=1500)
    counts = torch.arange(1500)
    found = probe(own, measure(own, hidden), counts=counts)
    left, among = found.target - found.predicted, counts >= 500
    corrected = left[among].square().mean() * 1500 / (1500 - 8 - 1)
    expected = 1 - corrected / found.target[among].var()
    assert found.adjusted_r2_frequent == pytest.approx(expected.item(), abs=1e-12)
    every = probe(own, measure(own, hidden), counts=counts + 1)
    assert every.adjusted_r2_seen == pytest.approx(every.regression.adjusted_r2, abs=1e-12)
    assert found.adjusted_r2_seen != found.regression.adjusted_r2


def test_nothing_is_found_where_there_is_nothing():
    own, hidden = draw(size=3000)
    found = probe(own, measure(own, hidden))
    assert found.regression.adjusted_r2 > 0.9
    for share in found.controls.values():
        assert abs(share) < 0.02


def test_the_slope_does_not_see_what_probabilities_do_not():
    """The same vector on all rows, a scale of a column that states undo."""
    own, hidden = draw()
    found = probe(own, measure(own, hidden)).regression
    constant = torch.arange(8.0)
    shifted = Readout((own.weight.double() + constant).float(), None)
    exact = Readout(shifted.weight.double() - constant, None)  # what float32 left of the rows
    base = probe(exact, measure(exact, hidden)).regression
    moved = probe(shifted, measure(shifted, hidden)).regression
    assert (moved.slope - base.slope).abs().max() < 1e-9
    expected = base.intercept - (base.slope @ constant.double()).item()
    assert moved.intercept == pytest.approx(expected, abs=1e-9)
    scale = 2.0 ** torch.arange(-4, 4)
    scaled = Readout(own.weight * scale, None)
    folded = probe(scaled, measure(scaled, hidden / scale)).regression
    torch.testing.assert_close(folded.slope, found.slope / scale, rtol=1e-9, atol=0)
    torch.testing.assert_close(folded.saliency, found.saliency, rtol=1e-9, atol=0)


def test_too_few_tokens():
    own, hidden = draw()
    counts = torch.zeros(300, dtype=torch.int64)
    counts[:39] = 1
    with pytest.raises(ValueError, match="39 tokens are too few to regress frequency on rows of"):
        probe(own, measure(own, hidden), "frequency", counts=counts)
