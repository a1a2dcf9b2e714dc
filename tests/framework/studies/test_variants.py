"""A study runs each variant with each seed once, keeps what is finished, and says what failed."""

import csv
import json

import pytest
from matplotlib.image import imread

from framework.studies import Variants, read, runs

FAKE = """
import json, pathlib, sys
words = sys.argv[1:]
folder = pathlib.Path(words[-1].partition("=")[2])
if words[0] == "fit":
    assert words[-3:-1] == ["--resume", "auto"]
    del words[-3:-1]
if "--bad" in words:
    sys.exit(2)
place = folder / "name" / "version_0"
if words[0] == "test":
    place = folder / "name" / "version_1"
    place.mkdir(parents=True)
    (place / "metrics.json").write_text(json.dumps({"test/nll": 7.0}))
    sys.exit(words[2] != str(folder / "name" / "version_0" / "last.ckpt"))
place.mkdir(parents=True, exist_ok=True)
(place / "last.ckpt").touch()
seed = float(words[words.index("--seed_everything") + 1])
size = 10.0 + len(words)
(place / "metrics.json").write_text(json.dumps({"val/nll": seed, "parameters": size}))
with open(folder / "calls", "a") as file:
    file.write(" ".join(words[:-1]) + "\\n")
"""

LOGGING = """
import time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
writer = EventFileWriter(str(place))
for step in (10, 20, 20):
    value = Summary.Value(tag="val/nll", simple_value=seed / step)
    summary = Summary(value=[value])
    writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))
writer.close()
"""


@pytest.fixture
def launched(monkeypatch):
    monkeypatch.setattr(runs, "LAUNCH", FAKE)


def calls(folder):
    return sorted(line for path in folder.rglob("calls") for line in path.read_text().splitlines())


def test_every_variant_with_every_seed(launched, tmp_path, capsys):
    study = Variants(["--config", "a"], {"x": [], "y": ["--b"]}, ["val/nll"], seeds=[3, 5])
    study.run(tmp_path, jobs=2)
    assert calls(tmp_path) == [
        "fit --config a --b --seed_everything 3 --data.seed 3",
        "fit --config a --b --seed_everything 5 --data.seed 5",
        "fit --config a --seed_everything 3 --data.seed 3",
        "fit --config a --seed_everything 5 --data.seed 5",
    ]
    found = [r for r in read(tmp_path / "results.csv") if r.metric == "val/nll"]
    assert sorted(found) == [
        ("x", 3, "val/nll", 3.0, None),
        ("x", 5, "val/nll", 5.0, None),
        ("y", 3, "val/nll", 3.0, None),
        ("y", 5, "val/nll", 5.0, None),
    ]
    assert "4.0 ± 1.4" in capsys.readouterr().out
    assert "4.0 ± 1.4" in (tmp_path / "table.md").read_text()


def test_what_is_finished_is_not_run_again_unless_its_words_changed(launched, tmp_path):
    for words in ([], [], ["--c"]):
        study = Variants(["--config", "a"], {"x": words, "y": ["--b"]}, ["val/nll"], seeds=[1])
        study.run(tmp_path, jobs=1)
    assert len(calls(tmp_path)) == 3


def test_a_failure_is_told_after_the_others_have_run(launched, tmp_path):
    study = Variants([], {"x": ["--bad"], "y": []}, ["val/nll"], seeds=[1, 2])
    with pytest.raises(ValueError, match=r"2 of 4 runs failed; see .*log\.txt"):
        study.run(tmp_path, jobs=1)
    assert len(calls(tmp_path)) == 2
    assert (tmp_path / "y" / "seed-2" / "finished.json").is_file()
    assert not (tmp_path / "x" / "seed-1" / "finished.json").exists()


def test_finished_runs_note_how_long_they_took(launched, tmp_path):
    Variants([], {"x": []}, ["val/nll"], seeds=[1]).run(tmp_path, jobs=1)
    kept = json.loads((tmp_path / "x" / "seed-1" / "finished.json").read_text())
    assert kept["seconds"] >= 0
    assert kept["metrics"]["val/nll"] == 1


def test_a_damaged_note_of_a_finished_run_is_named(launched, tmp_path):
    study = Variants([], {"x": []}, ["val/nll"], seeds=[1])
    study.run(tmp_path, jobs=1)
    note = tmp_path / "x" / "seed-1" / "finished.json"
    note.write_text(note.read_text()[:40])
    with pytest.raises(ValueError, match=r"seed-1/finished\.json is no note .*; remove it"):
        study.run(tmp_path, jobs=1)


def test_what_was_trained_can_be_tested_too(launched, tmp_path):
    fitted = Variants([], {"x": []}, ["val/nll"], seeds=[1])
    tested = Variants([], {"x": []}, ["val/nll", "test/nll"], seeds=[1], tested=True)
    for study in (fitted, tested, tested):
        study.run(tmp_path, jobs=1)
    assert len(calls(tmp_path)) == 2
    found = {result.metric: result.value for result in read(tmp_path / "results.csv")}
    assert (found["val/nll"], found["test/nll"]) == (1, 7)


@pytest.mark.slow
def test_curves_of_all_runs_are_kept_and_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "LAUNCH", FAKE + LOGGING)
    options = {"seeds": [1, 3], "curves": ["val/nll"], "tested": True}
    for _ in range(2):  # the second time from what was kept
        (tmp_path / "curves.csv").unlink(missing_ok=True)
        Variants([], {"x": [], "y": ["--b"]}, ["val/nll"], **options).run(tmp_path, jobs=2)
        with (tmp_path / "curves.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows == [
            {"variant": v, "seed": s, "metric": "val/nll", "step": step, "value": value}
            for s, values in (("1", ("0.1", "0.05")), ("3", ("0.3", "0.15")))
            for v in ("x", "y")
            for step, value in zip(("10", "20"), values, strict=True)
        ]
    assert imread(tmp_path / "curves.png").std() > 0


def test_a_picture_of_what_no_run_has_is_refused_after_all_is_written(launched, tmp_path):
    for options in ({"curves": ["val/nll"]}, {"against": "size"}):
        with pytest.raises(ValueError, match=r"no run has (val/nll|size)"):
            Variants([], {"x": []}, ["val/nll"], seeds=[1], **options).run(tmp_path, jobs=1)
    assert "val/nll" in (tmp_path / "table.md").read_text()


@pytest.mark.slow
def test_groups_are_compared_with_their_baseline_and_drawn_against_their_size(launched, tmp_path):
    words = {f"{size}/{kind}": [kind, size] for size in "ab" for kind in ("plain", "fan")}
    study = Variants(
        [], words, ["val/nll", "parameters"], [1, 2], baseline="plain", against="parameters"
    )
    study.run(tmp_path, jobs=2)
    text = (tmp_path / "table.md").read_text()
    assert (
        "| a/fan | 2 | 0 | [0.0000, 0.0000] | 0 of 2 |" in text
    )  # the loss of the fake is its seed
    assert "| a/plain | 2 | 1.50 ± 0.71 | 18 |" in text
    assert "| plain | result | fan |" in text
    assert "| 18 | 1.5 | 100 % |" in text
    assert imread(tmp_path / "scaling.png").std() > 0


def test_a_baseline_that_is_no_variant_is_refused():
    with pytest.raises(ValueError, match="'b/fan' would be compared with 'b/plain'"):
        Variants([], {"a/plain": [], "a/fan": [], "b/fan": []}, ["x"], baseline="plain")


def test_nothing_to_compare_is_refused():
    with pytest.raises(ValueError, match="nothing to compare"):
        Variants([], {}, ["val/nll"])
