"""The examination tests itself, and is written whole."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from framework.papers.token_encoding import Readout, probe
from framework.papers.token_encoding.probing.interpretation import interpret
from framework.papers.token_encoding.probing.probe_report import examine, self_test
from tests.framework.papers.token_encoding.probing.measured import draw, measure


def examined(own, statistics, **options):
    return examine(own, statistics, ("alpha", "frequency"), **options)


@pytest.mark.parametrize("bias", [False, True])
def test_the_self_test_passes(bias):
    own, hidden = draw(bias=bias)
    found = examined(own, measure(own, hidden))
    assert found.failures == []
    assert found.requested == ["alpha", "frequency"]
    assert list(found.probes) == ["alpha", "frequency", "geometric"]
    assert found.main is found.probes["alpha"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: {"alpha": s.alpha * 1.001}, "sum to 1.001"),
        (lambda s: {"alpha": s.alpha.flip(0)}, "below the geometric mean"),
    ],
)
def test_damaged_statistics_are_noticed(change, said):
    own, hidden = draw()
    statistics = measure(own, hidden)
    damaged = replace(statistics, **change(statistics))
    failures = self_test(own, damaged, probe(own, damaged, "geometric"))
    assert any(said in failure for failure in failures)


def test_a_wrong_regression_is_noticed():
    own, hidden = draw()
    statistics = measure(own, hidden)
    tested = probe(own, statistics, "geometric")
    worse = replace(tested.regression, slope=tested.regression.slope + 1e-6, r2=0.999)
    failures = self_test(own, statistics, replace(tested, regression=worse))
    assert "R² of the geometric mean misses 1 by 1.0e-03." in failures
    assert any("misses -h by" in failure for failure in failures)
    found = replace(examined(own, statistics), failures=failures)
    first = next(iter(interpret(found, {})))
    assert first.startswith("SELF-TEST FAILED, trust no number here. R² of the geometric")


def test_dependent_columns_are_no_failure():
    """Their slope is the shortest one, and need not be -h."""
    own, hidden = draw()
    weight = own.weight.clone()
    weight[:, 1] = weight[:, 0]
    twice = Readout(weight, None)
    found = examined(twice, measure(twice, hidden))
    assert found.failures == []
    said = "\n".join(interpret(found, {}))
    assert "The rows depend on each other" in said
    assert "Self-test passed" in said


def test_what_is_written(tmp_path):
    own, hidden = draw()
    found = examined(own, measure(own, hidden), known=290, ridge=0.01)
    found.save(tmp_path / "probe.safetensors")
    with safe_open(tmp_path / "probe.safetensors", "pt") as file:
        texts = file.metadata()
        distribution = found.probes["alpha"].regression
        assert torch.equal(file.get_tensor("alpha.slope"), distribution.slope)
        assert torch.equal(file.get_tensor("alpha.standard_errors"), distribution.standard_errors)
        target = file.get_tensor("frequency.target")
    torch.testing.assert_close(target, found.probes["frequency"].target, equal_nan=True)
    assert texts["fingerprint"] == own.fingerprint()
    assert json.loads(texts["provenance"]) == {"checkpoint": "drawn"}
    numbers = json.loads(texts["numbers"])
    assert numbers["ridge"] == 0.01
    assert numbers["alpha"]["gain"] == found.probes["alpha"].gain
    assert numbers["geometric"]["r2"] == pytest.approx(1)


def test_a_target_alone():
    own, hidden = draw()
    statistics = measure(own, hidden)
    alone = examine(own, statistics, ("frequency",))
    assert list(alone.probes) == ["frequency", "geometric"]
    assert not alone.theory
    assert not alone.contexts
    tested = examine(own, statistics, ())
    assert tested.main is tested.probes["geometric"]
    assert not tested.requested
