"""`overtone runs`: what folders of runs say, sorted and chosen as asked for."""

import json
import os

import pytest

import cli

RUNS = {  # folders, in the order of time: numbers, steps of checkpoints and whether it trained
    "a/version_0": (
        {"val/nll": 2.5, "val/mase": 1.25, "parameters": 1000, "steps": 300},
        (),
        True,
    ),
    "a/version_1": ({"test/nll": 3.5, "parameters": 1000}, (), False),
    "b/version_0": (None, (100, 250), True),
    "study/x/earlier-1/b/version_0": ({"val/nll": 9.0}, (), True),
    "study/x/b/version_0": ({"val/nll": 1.5, "steps": 600}, (), True),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for age, (name, (numbers, steps, trained)) in enumerate(RUNS.items()):
        place = tmp_path / "runs" / name
        (place / "checkpoints").mkdir(parents=True)
        files = {place / "config.yaml": "", place / "metrics.json": json.dumps(numbers)}
        for step in steps:
            (place / "checkpoints" / f"step={step}.ckpt").touch()
        for path, text in files.items():
            if numbers is not None if path.suffix == ".json" else trained:
                path.write_text(text)
                os.utime(path, (1e9 + age, 1e9 + age))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs"


def listed(capsys, *words):
    cli.main(["runs", *words, "--csv"])
    header, *lines = (line.split(",") for line in capsys.readouterr().out.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_runs_are_listed_with_their_numbers_the_newest_last(folder, capsys):
    a, tested, b, x = listed(capsys)
    assert [each["run"] for each in (a, tested, b, x)] == [
        *("a/version_0", "a/version_1", "b/version_0", "study/x/b/version_0")
    ]
    assert (a["kind"], a["steps"], a["val/nll"], a["val/mase"]) == (
        "training",
        "300",
        "2.5",
        "1.25",
    )
    assert (tested["kind"], tested["test/nll"], tested["val/nll"]) == ("evaluation", "3.5", "")
    assert (b["kind"], b["steps"], b["val/nll"]) == ("not ended", "250", "")
    cli.main(["runs"])
    assert "4 of 4 runs in runs" in capsys.readouterr().out


def test_metrics_order_and_number_are_chosen(folder, capsys):
    (best,) = listed(capsys, "--sort", "val/nll", "--last", "1", "--metric", "val/mase,val/nll")
    assert best["run"] == "study/x/b/version_0"
    assert [*best][-2:] == ["val/mase", "val/nll"]
    assert [each["run"] for each in listed(capsys, "runs/a")] == ["version_0", "version_1"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none"], "There is no folder none"),
        (["--sort", "val/mae"], "No run in runs has val/mae; choose from parameters"),
        (["--last", "0"], "--last '0' is no number from 1 on; write one such as 10."),
        (["--lats", "3"], "unrecognized arguments: --lats; `pytest runs --help`"),
    ],
)
def test_a_mistake_is_one_sentence(words, told, folder, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["runs", *words])
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert told.replace("pytest", "lightning") in said


def test_damaged_numbers_are_named(folder, capsys):
    (folder / "a" / "version_0" / "metrics.json").write_text("[1]")
    with pytest.raises(SystemExit):
        cli.main(["runs"])
    assert "metrics.json holds no numbers by name" in capsys.readouterr().err
