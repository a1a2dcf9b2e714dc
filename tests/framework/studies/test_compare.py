"""The verb `compare`: refuses unequal arms, makes them equal, and runs a study of them."""

import json

import pytest
import torch
import yaml
from matplotlib.image import imread

import cli
from framework.studies import Variants, read, runs
from framework.studies.equality import Inspected, with_equal_parameters, with_equal_seconds
from framework.studies.same_data import SameData
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

TRAINED = """
import shutil
shutil.copy(f"{folder.parents[0].name}.ckpt", place / "last.ckpt")
"""
RECORD = {  # as `framework.data.position.record` returns it
    **{"examples": 80, "batch_size": 8, "accumulated": 1, "processes": 1, "seed": 1},
    "data": {"examples": 100, "target": [1.0, 2.0]},
}


def trained(monkeypatch, tmp_path, **records):
    """Lets runs leave checkpoints that record what they were trained on, by their variant."""
    monkeypatch.chdir(tmp_path)
    for variant, record in records.items():
        checkpoint = {"pytorch-lightning_version": "2.6", "position": record}
        torch.save(checkpoint, tmp_path / f"{variant}.ckpt")
    monkeypatch.setattr(runs, "LAUNCH", FAKE + TRAINED)


def refused(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", *words])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    return said


def test_heads_are_compared_with_their_best_rates_seed_by_seed(monkeypatch, tmp_path, capsys):
    names = ("LinearHead", "FanHead", "lr-0.001", "lr-0.01")
    trained(monkeypatch, tmp_path, **dict.fromkeys(names, RECORD))
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
    study = yaml.safe_load((folder / "comparison.yaml").read_text())["study"]["init_args"]
    study["same_data"] = SameData(**study["same_data"])
    assert Variants(**study).rounds(folder) == [], "`overtone study` knows the runs"
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


@pytest.mark.parametrize("metric", ["val/accuracy", "test/return_at_20,val/nll"])
def test_metrics_of_which_more_is_better_need_to_be_maximized(metric, tmp_path, capsys):
    words = [*RECIPE, "--vary=model.head=LinearHead,FanHead", "--metric", metric]
    said = refused(capsys, *words, f"--folder={tmp_path / 'new'}")
    assert f"More of {metric.partition(',')[0]} is better; add --maximized." in said


def test_what_is_maximized_in_the_test_chooses_rates_so(monkeypatch, tmp_path):
    trained(monkeypatch, tmp_path, **{"lr-0.001": RECORD, "lr-0.01": RECORD})
    rates = ["--vary=model.optimizer.lr=1e-3,1e-2", "--seeds=1", "--folder=new", "--report"]
    cli.main(["compare", *RECIPE, *rates, "--maximized", "--metric=test/accuracy,val/accuracy"])
    [study] = yaml.safe_load((tmp_path / "new" / "comparison.yaml").read_text()).values()
    assert study["init_args"]["maximized"] == ["test/accuracy", "val/accuracy"]
    assert study["init_args"]["chosen_by"] == "val/accuracy"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"batch_size": 4}, "data.batch_size (8, 4)"),
        pytest.param(
            {"examples": 40},
            "the number of examples that were seen (80, 40)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"data": {**RECORD["data"], "target": [1.1, 2.0]}},
            "sample of target of the training data (1, 1.1)",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_arms_that_were_trained_on_other_data_are_not_compared(
    changes, told, monkeypatch, tmp_path, capsys
):
    trained(monkeypatch, tmp_path, LinearHead=RECORD, FanHead=RECORD | changes)
    words = [*RECIPE, "--vary=model.head=LinearHead,FanHead", "--seeds=1", "--folder=new"]
    assert (
        "LinearHead (seed 1) and FanHead (seed 1) were not trained on the same data: "
        f"{told}; give the command again with a new --folder."
    ) in refused(capsys, *words)
    assert not (tmp_path / "new" / "table.md").exists()


def test_arms_of_equal_seconds_may_see_other_numbers_of_examples():
    notes = [
        {"variant": name, "seed": 1, "trained_on": {**RECORD, "examples": number}}
        for name, number in (("plain", 80), ("slow", 40))
    ]
    SameData([], examples=False).require(notes)
    with pytest.raises(ValueError, match=r"plain \(seed 1\) and slow .* \(80, 40\)"):
        SameData([]).require(notes)


@pytest.mark.slow
def test_a_file_that_changed_between_two_runs_is_found(monkeypatch, tmp_path, capsys):
    trained(monkeypatch, tmp_path, LinearHead=RECORD, FanHead=RECORD)
    table = tmp_path / "sales.csv"
    table.write_text("a,b\n1,2\n")
    source = ["--data.source=LongTable", "--data.source.path=sales.csv", "--seeds=1"]
    words = ["--config", "quickstart", "--vary=model.head=LinearHead,FanHead", *source]
    cli.main(["compare", *words, "--folder=new"])
    saved = yaml.safe_load((tmp_path / "new" / "comparison.yaml").read_text())["study"]
    assert saved["init_args"]["same_data"]["files"] == ["sales.csv"]
    table.write_text("a,b\n1,3\n")
    words = [*words[:2], "--vary=model.head=LinearHead,FanHead,NormalHead", *source]
    trained(monkeypatch, tmp_path, NormalHead=RECORD)
    told = "LinearHead (seed 1) and NormalHead (seed 1) were not trained on the same data: sales"
    assert told in refused(capsys, *words, "--folder=new")
    again = ["study", "new/comparison.yaml", "--folder=new", "--report"]
    with pytest.raises(SystemExit):
        cli.main(again)
    assert told in capsys.readouterr().err, "a study reads what compare wrote"


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
