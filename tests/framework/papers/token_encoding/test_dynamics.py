"""Scores of a read-out equal those of numpy; those of a model in training tell when it learns."""

import csv
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity

from components.heads.fourier import FourierHead
from components.interfaces import Stem
from components.stems.tokens import TokenStem
from framework.papers.token_encoding.dynamics import Dynamics
from tests.framework.papers.token_encoding.conftest import drawn
from tests.framework.papers.token_encoding.texts import (
    DIM,
    KNOWN,
    SIZE,
    CountedText,
    Text,
    Windows,
    model,
)


class Blind(TokenStem):
    """Looks up vectors and tells nobody."""

    lookup = Stem.lookup


def built(**changes):
    module = model(**changes)
    module.configure_model()
    return module


def scores(module, data=None, sequences=30, start=None):
    dynamics = Dynamics(module, data or CountedText(batch_size=7), sequences)
    snapshot = dynamics.read(module)
    weight = snapshot.readout.weight
    return dynamics.measure(snapshot, weight if start is None else start).scores


def adjusted(rows, target):
    """Adjusted R² of least squares with a constant, by numpy."""
    design = np.column_stack((np.ones(len(rows)), rows))
    left = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    n, k = design.shape
    return 1 - (left @ left) / (n - k) / (target.var(ddof=1))


def test_scores_equal_those_of_numpy():
    module = built()
    start = torch.randn(SIZE, DIM)
    found = scores(module, start=start)
    places = [k * 48 // 30 for k in range(30)]
    batch = Windows(seed=1).__getitems__(places)
    counted = batch.weight > 0
    with torch.no_grad():
        distribution = module(batch)
        nll = -distribution.log_prob(batch.target)[counted].double().mean()
        alpha = distribution.probs[counted].double().mean(0).numpy()[:KNOWN]
        log_p = distribution.logits.log_softmax(-1)[counted].double().mean(0)[:KNOWN]
    weight, bias = (p.detach() for p in module.head.projection.parameters())
    bias = bias[:KNOWN].double().numpy()  # a row says nothing of it
    rows, table = weight[:KNOWN].double(), module.stem.embedding.weight.detach()[:KNOWN].double()
    count = np.bincount(Windows(seed=0).ids.flatten(), minlength=KNOWN)[:KNOWN]
    seen, log_f = count > 0, -np.log(count + 0.5)
    assert 5 * DIM <= seen.sum() < KNOWN
    assert found["nll"] == pytest.approx(nll.item(), rel=1e-6)
    assert found["alpha"] == pytest.approx(adjusted(rows, bias - np.log(alpha)), abs=1e-5)
    assert found["frequency"] == pytest.approx(adjusted(rows[seen], log_f[seen]), abs=1e-9)
    assert found["frequency_input"] == pytest.approx(adjusted(table[seen], log_f[seen]), abs=1e-9)
    assert found["correlation"] == pytest.approx(
        np.corrcoef(np.log(alpha)[seen], -log_f[seen])[0, 1], abs=1e-6
    )
    assert adjusted(rows, bias - log_p.numpy()) == pytest.approx(1, abs=1e-9)
    assert found["geometric"] == pytest.approx(1, abs=1e-12)
    assert found["norm"] == pytest.approx(weight.norm().item(), rel=1e-6)
    assert found["cosine_start"] == pytest.approx(
        cosine_similarity(weight, start, dim=1).mean().item(), abs=1e-6
    )
    assert {"gain", "cosine", "random", "alpha_cross_validated"} < found.keys()


def test_without_counts_of_the_text_targets_that_count_are_counted():
    module = built()
    dynamics = Dynamics(module, Text(batch_size=7), 48)
    targets = Windows(seed=1).ids[:, 1:-1].flatten()
    assert torch.equal(dynamics.counts, torch.bincount(targets, minlength=SIZE))
    assert dynamics.known == SIZE


def test_a_tied_table_tells_as_much_and_a_stem_without_one_nothing():
    tied = scores(built(tied=True))
    assert tied["frequency_input"] == tied["frequency"]
    assert "frequency_input" not in scores(built(stem=Blind))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"head": partial(FourierHead, frequencies=3)}, "FourierHead has no row of a matrix"),
        ({"dim": 12}, "different tokens, too few to regress on rows of width 12.*at least 60"),
    ],
)
def test_what_cannot_be_regressed_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        Dynamics(built(**changes), CountedText(), 30)


def rows(trained):
    with (trained.folder / "figures" / "encoding.csv").open(encoding="utf-8") as file:
        return [{name: float(x) for name, x in row.items()} for row in csv.DictReader(file)]


def test_at_random_weights_probabilities_are_linear_and_frequencies_unknown(trained):
    """In the width of the recipe: the fewer dimensions, the less they say of probabilities."""
    start = scores(drawn(trained, 128), trained.data, 128)
    assert start["alpha"] > 0.99
    assert abs(start["frequency"]) < 0.02


def test_frequencies_are_encoded_early(trained):
    """While the loss has done less than 45 % of its fall; the untied input lags behind."""
    found = rows(trained)
    assert found[0]["step"] == 0
    assert abs(found[0]["frequency"]) < 0.02
    first, last = found[0]["nll"], found[-1]["nll"]
    early = [row for row in found if first - row["nll"] < 0.45 * (first - last)]
    assert early[-1]["frequency"] >= 0.55
    assert early[-1]["frequency_input"] < 0.1
    assert found[-1]["frequency"] > 0.8
    assert all(row["geometric"] == pytest.approx(1, abs=1e-9) for row in found)
