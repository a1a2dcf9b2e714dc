"""The verb `compare`: refuses unequal arms, makes them equal, and runs a study of them."""

import json

import pytest
import yaml
from matplotlib.image import imread

import cli
from framework.studies import Variants, read, runs
from framework.studies.equality import Inspected, with_equal_parameters, with_equal_seconds
from tests.framework.studies.test_variants import FAKE, calls

RECIPE = ["--config", "two_peaks"]
BENCH = """
import json, pathlib, sys
*words, output = sys.argv[1:]
assert words[0] == "bench"
with open(pathlib.Path(output.partition("=")[2]).parent / "measured", "a") as file:
    file.write(words[1] + "\\n")
step_seconds = {"--fast": 0.02, "--slow": 0.04}[words[1]]
pathlib.Path(output.partition("=")[2]).write_text(json.dumps({"step_seconds": step_seconds}))
"""


def refused(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", *words])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_heads_are_compared_with_their_best_rates_seed_by_seed(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(runs, "LAUNCH", FAKE)
    monkeypatch.chdir(tmp_path)
    words = [*RECIPE, "--vary=model.head=LinearHead,FanHead", "--trainer.max_steps=4"]
    rates = ["--vary", "model.optimizer.lr=1e-3,1e-2", "--seeds=2", "--jobs", "2"]
    cli.main(["compare", *words, *rates])
    folder = tmp_path / "runs" / "compare" / "two_peaks-head-lr"
    assert len(calls(folder)) == 2 * (2 + 1)
    table = (folder / "table.md").read_text()
    assert "| LinearHead | 2 | 0.001 of 2, at the edge of the grid | 1.50 ± 0.71 |" in table
    assert "| FanHead | 2 | 0 | [0.0000, 0.0000] | 0 of 2 |" in table  # the loss is the seed
    assert {r.seed for r in read(folder / "results.csv")} == {1, 2}
    assert imread(folder / "seeds.png").std() > 0
    cli.main(["compare", *words, *rates, "--report"])
    study = yaml.safe_load((folder / "comparison.yaml").read_text())["study"]
    assert Variants(**study["init_args"]).rounds(folder) == [], "`overtone study` knows the runs"
    assert "6 of 6 runs are finished" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--vary", "model.head=LinearHead,FanHead"], "compare needs --config RECIPE"),
        ([*RECIPE, "--overlays=heads/fan", "--seeds=0"], "--seeds 0 runs nothing"),
        ([*RECIPE, "--vary=model.head=LinearHead,FanHed"], "did you mean FanHead"),
        (
            [*RECIPE, "--vary=data.batch_size=8,16"],
            "batch_size=8 and batch_size=16 differ in data.batch_size (8, 16)",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(words, told, tmp_path, capsys):
    assert told in refused(capsys, *words, f"--folder={tmp_path / 'new'}")
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_parameters_are_equal_up_to_a_unit_of_width():
    recipe = ["--config", "quickstart", "--model.backbone.dim=32"]
    arms = {"two": [], "three": ["--model.backbone.depth=3"]}
    equal = with_equal_parameters(recipe, arms, "overtone")
    assert equal["two"] == []
    commands = ([*recipe, *words] for words in equal.values())
    one, other = (Inspected(words, "overtone").parameters() for words in commands)
    assert abs(one - other) <= 2 * (2 * 32) * 3  # two units of three networks


def test_steps_take_as_long_as_those_of_the_first(monkeypatch, tmp_path):
    monkeypatch.setattr("framework.studies.runs.LAUNCH", BENCH)
    options = {"trainer": {"max_steps": 100, "val_check_interval": 50}}
    arms = {"a": ["--fast"], "b": ["--slow"]}
    for _ in range(2):
        assert with_equal_seconds([], arms, options, tmp_path) == {
            "a": ["--fast", "--trainer.max_steps=100", "--trainer.val_check_interval=50"],
            "b": ["--slow", "--trainer.max_steps=50", "--trainer.val_check_interval=25"],
        }
    measured = (tmp_path / "measured").read_text().split()
    assert measured == ["--fast", "--slow"] * 3, "one after the other, and not again"
    assert len(json.loads((tmp_path / "speeds.json").read_text())) == 2
