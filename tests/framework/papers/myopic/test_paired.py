"""Arms run once they are known to be trained alike; gap and bonus are differences of one seed."""

import json

import pytest

from framework.papers.myopic import PairedArms, paired, parity
from framework.studies import Variants, read, runs

FAKE = """
import json, pathlib, sys
words = sys.argv[1:]
folder = pathlib.Path(words[-1].partition("=")[2])
if words[0] == "future":
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{words[1]}.json").write_text(json.dumps({"probes/layer 1": len(words) / 8}))
    sys.exit(words[2:4] != [str(folder.parent / "name" / "last.ckpt"), "--first"])
loss = {"vanilla": 3.0, "hidden": 3.5, "local": 2.75}[words[1]]
if "--model.optimizer.lr" in words:  # the best is .01 for the local arm, .001 for the others
    rate = float(words[words.index("--model.optimizer.lr") + 1])
    loss += rate if words[1] != "local" else -rate
seed = float(words[words.index("--seed_everything") + 1])
if words[1] == "local" and not pathlib.Path(words[words.index("--past") + 1]).is_file():
    sys.exit(2)
place = folder / "name"
place.mkdir(parents=True, exist_ok=True)
(place / "last.ckpt").touch()
numbers = {"val/nll": loss * seed, "parameters": 1.0}
(place / "metrics.json").write_text(json.dumps(numbers))
with open(folder / "calls", "a") as file:
    file.write(words[1])
"""
ARMS = {
    "vanilla": ["vanilla"],
    "hidden": ["hidden"],
    "local": ["local", "--past", "{vanilla}"],
}


@pytest.fixture
def launched(monkeypatch):
    """Fake runs; returns the arms that were held against a vanilla one."""
    checked = []
    monkeypatch.setattr(runs, "LAUNCH", FAKE)
    monkeypatch.setattr(paired, "require_parity", lambda words, by: checked.append((words, by)))
    return checked


def calls(folder):
    return sorted(str(path.parent.relative_to(folder)) for path in folder.rglob("calls"))


def test_gap_and_bonus_are_told(launched, tmp_path, capsys):
    PairedArms([], ARMS, ["val/nll"], seeds=[1, 2]).run(tmp_path, jobs=2)
    said, text = capsys.readouterr().out, (tmp_path / "table.md").read_text()
    assert "Myopia gap" in said
    assert "Local myopia bonus" in said
    assert "| hidden | 2 | 0.75 ± 0.35 | [-2.4, 3.9] | 0 of 2 |" in text  # .5 and 1; 12.7 * .25
    assert "| vanilla | 2 | 0.38 ± 0.18 | [-1.2, 2.0] | 0 of 2 |" in text  # .25 and .5
    assert text.count("local") == 2  # a row of the results, and the head of the bonus


def test_an_arm_is_handed_the_checkpoint_of_the_same_seed(launched, tmp_path):
    PairedArms([], ARMS, ["val/nll"], seeds=[1, 2]).run(tmp_path, jobs=2)
    last = tmp_path / "vanilla" / "seed-1" / "name" / "last.ckpt"
    [local] = [words for words, by in launched if "local" in words]
    assert str(last) in local["local"]
    assert [by for _, by in launched] == ["vanilla", "vanilla"]
    kept = json.loads((tmp_path / "local" / "seed-2" / "finished.json").read_text())
    assert kept["words"][:3] == ["local", "--past", "{vanilla}"]


@pytest.mark.slow
def test_what_needs_an_arm_is_repeated_with_it(launched, tmp_path):
    study = PairedArms([], ARMS, ["val/nll"], seeds=[1])
    study.run(tmp_path, jobs=1)
    study.run(tmp_path, jobs=1)
    counted = (tmp_path / "local" / "seed-1" / "calls").read_text()
    assert counted == "local"
    (tmp_path / "vanilla" / "seed-1" / "finished.json").unlink()
    study.run(tmp_path, jobs=1)
    place = tmp_path / "local" / "seed-1"
    assert (place / "calls").read_text() == "local"  # anew, not on top of the earlier one
    assert (place / "earlier-1" / "calls").read_text() == "local"
    assert calls(tmp_path / "hidden") == ["seed-1"]


def test_what_needs_an_arm_that_failed_does_not_run(launched, tmp_path):
    arms = {**ARMS, "vanilla": ["none"]}
    with pytest.raises(ValueError, match=r"1 of 3 runs failed; see .*vanilla"):
        PairedArms([], arms, ["val/nll"], seeds=[1]).run(tmp_path, jobs=1)
    assert calls(tmp_path) == ["hidden/seed-1"]


@pytest.mark.slow
def test_an_arm_is_handed_the_checkpoint_with_the_best_rate(launched, tmp_path):
    rates = {"learning_rates": [0.001, 0.003, 0.01]}
    study = PairedArms([], ARMS, ["val/nll"], seeds=[1, 2], **rates)
    for _ in range(2):  # the second time from what was kept
        study.run(tmp_path, jobs=2)
    expected = [f"{arm}/lr-{rate}/seed-1" for arm in ARMS for rate in rates["learning_rates"]]
    best = {"vanilla": 0.001, "hidden": 0.001, "local": 0.01}
    expected += [f"{arm}/lr-{rate}/seed-2" for arm, rate in best.items()]
    assert calls(tmp_path) == sorted(expected)
    assert all(path.read_text() == path.parts[-4] for path in tmp_path.rglob("calls"))
    for seed in (1, 2):
        last = tmp_path / "vanilla" / "lr-0.001" / f"seed-{seed}" / "name" / "last.ckpt"
        assert last.is_file()
    handed = [words["local"] for words, _ in launched if "local" in words]
    for words in handed:
        assert "/vanilla/lr-0.001/seed-" in words[2]
    text = (tmp_path / "table.md").read_text()
    assert "| local | 2 | 0.01 of 3, at the edge of the grid | 4.1 ± 1.9 |" in text  # 2.74, 5.48


@pytest.mark.slow
def test_what_needs_an_arm_is_repeated_when_another_rate_is_best(launched, tmp_path):
    arms = {name: ARMS[name] for name in ("vanilla", "local")}
    PairedArms([], arms, ["val/nll"], seeds=[1], learning_rates=[0.003, 0.01]).run(tmp_path, 1)
    more = PairedArms([], arms, ["val/nll"], seeds=[1], learning_rates=[0.003, 0.01, 0.001])
    more.run(tmp_path, 1)  # a better rate for the vanilla arm
    again = [f"lr-{rate}/seed-1{place}" for rate in (0.003, 0.01) for place in ("", "/earlier-1")]
    assert calls(tmp_path / "local") == sorted(["lr-0.001/seed-1", *again])
    vanilla = (tmp_path / "vanilla").rglob("calls")
    assert [path.read_text() for path in vanilla] == ["vanilla"] * 3


def test_arms_of_several_rates_are_compared_with_one(launched, tmp_path):
    PairedArms([], ARMS, ["val/nll"], seeds=[1], learning_rates=[0.1, 0.2]).run(tmp_path, 1)
    for words, standard in launched:
        rates = {line[line.index("--model.optimizer.lr") + 1] for line in words.values()}
        assert len(rates) == 1
        assert standard == "vanilla"


@pytest.mark.slow
def test_answers_of_the_last_checkpoint_are_metrics(launched, tmp_path):
    probes = ["future", "probes", "{checkpoint}", "--first", "5"]
    study = PairedArms([], ARMS, ["val/nll", "probes/layer 1"], seeds=[1], commands=[probes])
    study.run(tmp_path, jobs=1)
    study.run(tmp_path, jobs=1)
    found = {r.variant: r.value for r in read(tmp_path / "results.csv") if "probes" in r.metric}
    assert found == dict.fromkeys(ARMS, 6 / 8)
    assert (tmp_path / "hidden" / "seed-1" / "calls").read_text() == "hidden"
    with pytest.raises(ValueError, match="2 of 3 runs failed"):
        PairedArms([], ARMS, ["val/nll"], seeds=[1], commands=[probes[:3]]).run(tmp_path, jobs=1)


def test_arms_that_are_not_trained_alike_do_not_run(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "LAUNCH", FAKE)
    monkeypatch.setattr(parity, "terms", lambda words: {"lr": words[words.index("--lr") + 1]})
    arms = {"vanilla": ["--lr", "0.1"], "hidden": ["--lr", "0.01"]}
    with pytest.raises(ValueError, match=r"'vanilla' and 'hidden' are not trained alike.*: lr is"):
        PairedArms([], arms, ["val/huber"], seeds=[1, 2]).run(tmp_path, jobs=1)
    assert not calls(tmp_path)


def test_checkpoints_of_what_runs_by_itself_only():
    for arms in ({"a": ["{b}"]}, {"a": ["{b}"], "b": ["{a}"]}, {"g/a": ["{b}"], "b": []}):
        with pytest.raises(ValueError, match="not a variant that runs without others"):
            Variants([], arms, ["val/nll"])
    Variants([], {"a": ["${equal_parameters:88}"]}, ["val/nll"])  # an interpolation
