"""What is measured on a GPU runs on the CPU at small sizes, and survives a check that fails."""

import re

import pytest
import torch

from benchmarks.cuda.__main__ import CHECKS, main
from benchmarks.cuda.checks import Disagreement, Place, require_close, run_each
from tests.endings import ends, hangs, passes, raises

HERE = Place("cpu", small=True)
SLOW = ("compiled", "quickstart", "language", "precisions", "sharded")
LONG = ("speed_300m", "speed_300m_compiled")  # what they run, `bench`, has tests of its own


@pytest.fixture(autouse=True)
def as_in_its_own_process(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    yield
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("unsaved_pictures")
@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else ())
        for name in CHECKS
        if name not in LONG
    ],
)
def test_on_the_cpu(name):
    said = CHECKS[name](HERE)
    assert re.search(r"\d", said), said
    assert "nan" not in said
    assert "\n" not in said


def test_without_a_gpu(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("no CUDA here")
    with pytest.raises(ValueError, match=r"no check is called \['fna'\]"):
        main(["fna"])


def test_what_is_not_close():
    assert require_close("x", torch.ones(2), torch.ones(2), 0.0) == 0
    for other in (torch.tensor([1.0, 1.1]), torch.tensor([1.0, torch.nan]), torch.ones(1)):
        with pytest.raises(Disagreement):
            require_close("x", other, torch.ones(2), 1e-3)


@pytest.mark.slow
def test_one_that_fails_ends_no_other(monkeypatch):
    checks = {check.__name__: check for check in (raises, ends, passes)}
    found = list(run_each(checks, HERE, 400))
    said = {one.name: (one.passed, one.said) for one in found}
    assert said == {
        "raises": (False, "Disagreement: two lines"),
        "ends": (False, "its process ended with status 3"),
        "passes": (True, "on cpu"),
    }
    assert "Traceback" in found[0].log
    assert found[2].log == "printed\n"
    monkeypatch.setattr("benchmarks.cuda.checks.MOST", 0.5)
    stopped, late = run_each({"hangs": hangs, "passes": passes}, HERE, 0.5)
    assert "stopped after 0 s" in stopped.said
    assert "no time was left" in late.said
    assert not stopped.passed
    assert not late.passed
