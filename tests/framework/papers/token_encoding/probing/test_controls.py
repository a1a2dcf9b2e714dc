"""Controls: the trained model encodes, what is not trained does not."""

import pytest
import torch
from torch.nn.functional import cosine_similarity

from framework.analysis import Sample
from framework.analysis.sample import Spread
from framework.papers.token_encoding import gather, probe, readout
from framework.papers.token_encoding.probing.controls import Start, controls, untrained
from framework.papers.token_encoding.probing.probe_report import examine
from framework.papers.token_encoding.readout import embedding
from tests.framework.papers.token_encoding.conftest import drawn

SEQUENCES = 64


@pytest.fixture(scope="module")
def examined(trained):
    counts, known = trained.data.counts(), trained.data.vocabulary_size
    return examine(trained.readout, trained.fit, counts=counts, known=known)


def read(module, trained):
    sample = Sample(Spread(trained.data.dataset("train"), SEQUENCES), None, 32)
    return Start(readout(module), gather(module, sample, contexts=1))


def test_a_trained_model_encodes_probabilities(examined):
    """Acceptance checks 8 and 6: adjusted R² > 0.9, confirmed by folds, and 0 in noise."""
    assert examined.failures == []
    distribution = examined.probes["alpha"].regression
    assert distribution.adjusted_r2 > 0.9
    assert abs(distribution.adjusted_r2 - distribution.cross_validated_r2) < 0.01
    for found in examined.probes.values():
        assert max(map(abs, found.controls.values())) < 0.02


def test_few_contexts_give_the_slope(examined):
    """Acceptance check 19."""
    cosines = examined.contexts
    assert list(cosines.values()) == sorted(cosines.values())
    assert cosines[64] > 0.8
    assert cosines[256] > 0.95
    assert cosines[1024] > 0.985


def test_what_is_not_trained_says_nothing_of_frequencies(trained, examined):
    """Acceptance check 7, with width and weights N(0, 0.02²) of its model, and the embedding."""
    module = drawn(trained, 128)
    found = controls(examined, read(module, trained), embedding(trained.module.stem))
    assert found["untrained model"]["alpha"] > 0.99
    assert abs(found["untrained model"]["frequency"]) < 0.02
    assert found["input embedding"]["frequency"] < 0.1


def test_the_untrained_model_is_drawn(trained):
    """It has nothing of the trained one, and what was drawn before stays as it was."""
    state = torch.get_rng_state()
    module = untrained(trained.path)
    assert torch.equal(state, torch.get_rng_state())
    rows = module.head.output_embedding().weight
    assert rows.shape == trained.readout.weight.shape
    assert not module.training
    alike = cosine_similarity(rows, trained.readout.weight, dim=1)
    assert alike.abs().mean() < 0.2
    again = untrained(trained.path).head.output_embedding().weight
    assert torch.equal(rows, again)


def test_a_model_that_is_not_drawn_is_none(trained, monkeypatch):
    """As that of a pretrained head, whose weights come from a file."""
    same = trained.module
    monkeypatch.setattr(
        "framework.papers.token_encoding.probing.controls.build_module", lambda *_: same
    )
    assert untrained(trained.path) is None


def test_controls_that_do_not_exist_are_left_out(examined):
    assert controls(examined, None, None) == {}


def test_the_probe_of_rows_is_that_of_the_data(trained, examined):
    """Counts and vocabulary are those of the training text."""
    found = examined.probes["frequency"]
    counts = trained.data.counts()
    assert int(found.kept.sum()) == int((counts > 0).sum())
    own = probe(trained.readout, trained.fit, "frequency", counts=counts)
    assert own.regression.adjusted_r2 == found.regression.adjusted_r2
