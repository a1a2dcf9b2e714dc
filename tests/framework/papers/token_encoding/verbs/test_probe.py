"""The verb `probe`: what it says, what it leaves, and mistakes in a sentence."""

import csv
import json
import re
import shutil
from contextlib import redirect_stdout
from io import StringIO

import pytest
import torch
from matplotlib.image import imread
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import cli
from framework.console.checkpoint_options import leading
from framework.modules.loading import load_module
from framework.papers.token_encoding import Statistics, probe, readout
from framework.papers.token_encoding.probing.controls import untrained

QUICK = ["--accelerator=cpu", "--sequences=12", "--contexts=150", "--untrained=8"]


def ask(*words):
    paths, options = leading([str(word) for word in words])
    cli.main(["probe", *paths, *QUICK, *options])


def told(capsys, *words):
    """What a command that fails says."""
    with pytest.raises(SystemExit) as end:
        ask(*words)
    assert end.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "probe: error: " in error
    return error


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def probed(path):
    """What the verb says of a model, and the folder that it leaves beside the checkpoint."""
    with redirect_stdout(StringIO()) as out:
        ask(path)
    return out.getvalue(), path.parent / "last-probe"


@pytest.mark.slow
def test_what_is_told_is_left_beside_the_checkpoint(path, probed):
    """Numbers are those of `probe` on the statistics that were written."""
    said, folder = probed
    assert re.search(r"Read-out of .*last.ckpt: 25\d tokens, 192 contexts", said)
    assert "Self-test passed" in said
    statistics, own = (
        Statistics.load(folder / "statistics.safetensors"),
        readout(load_module(path)),
    )
    statistics.require(own)
    assert statistics.provenance["checkpoint"] == str(path)
    found = probe(own, statistics)
    kept = json.loads((folder / "probe.json").read_text())
    for name in ("adjusted_r2", "cross_validated_r2", "rmse", "condition"):
        expected = getattr(found.regression, name)
        assert kept[f"probe/alpha/{name}"] == pytest.approx(expected, rel=1e-6)
    assert kept["probe/alpha/gain"] == pytest.approx(found.gain, rel=1e-6)
    assert kept["probe/geometric/r2"] == pytest.approx(1, abs=1e-12)
    assert f"{found.regression.adjusted_r2:.4f}" in said
    slopes = load_file(folder / "probe.safetensors")
    torch.testing.assert_close(slopes["alpha.slope"], found.regression.slope)
    table = rows(folder / "probe.csv")
    assert [int(row["token"]) for row in table] == list(range(len(table)))
    assert table[ord("e")]["text"] == "e"
    assert table[ord("\n")]["text"] == r"\n"
    alpha = torch.tensor([float(row["alpha"]) for row in table], dtype=torch.float64)
    torch.testing.assert_close(alpha, statistics.alpha[: len(table)], rtol=1e-6, atol=0)
    distribution = rows(folder / "dimensions.csv")
    assert float(distribution[3]["slope"]) == pytest.approx(
        found.regression.slope[3].item(), rel=1e-6
    )
    for name in ("probe", "dimensions", "contexts", "components"):
        assert imread(folder / f"{name}.png").std() > 0
        assert str(folder / f"{name}.csv") in said
    events = EventAccumulator(str(folder)).Reload()
    [logged] = events.Scalars("probe/alpha/gain")
    assert logged.value == pytest.approx(found.gain, rel=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_controls_stand_in_the_table(path, tmp_path, capsys):
    ask(path, f"--folder={tmp_path}", "--target=alpha")
    said = capsys.readouterr().out
    for name in ("target permuted", "random rows", "untrained model", "input embedding"):
        assert len(re.findall(rf"^control: {name} +-?\d\.\d+", said, re.MULTILINE)) == 1
    assert "-log frequency" not in said
    assert "The paper: rows hold frequencies" not in said
    kept = json.loads((tmp_path / "probe.json").read_text())
    assert kept["probe/alpha/control: untrained model"] > 0.5  # which is why it is there


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_statistics_are_read_instead_of_gathered(path, probed, tmp_path, capsys):
    said, first = probed
    file = first / "statistics.safetensors"
    before = file.read_bytes()
    assert "control: untrained" in said
    ask(path, f"--folder={tmp_path / 'again'}", f"--statistics={file}", "--untrained=0")
    assert "untrained" not in capsys.readouterr().out
    assert file.read_bytes() == before
    assert not (tmp_path / "again" / "statistics.safetensors").exists()
    slopes = [
        load_file(folder / "probe.safetensors")["alpha.slope"]
        for folder in (first, tmp_path / "again")
    ]
    assert torch.equal(*slopes)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_options_change_the_distribution(path, tmp_path):
    """Ridge and folds are those of `probe`; the self-test has no ridge."""
    ask(path, f"--folder={tmp_path}", "--ridge=0.5", "--folds=3", "--target=frequency")
    kept = json.loads((tmp_path / "probe.json").read_text())
    statistics = Statistics.load(tmp_path / "statistics.safetensors")
    table = rows(tmp_path / "probe.csv")
    counts = torch.tensor([int(row["count"]) for row in table])
    counts = torch.nn.functional.pad(counts, (0, len(statistics.alpha) - len(counts)))
    given = (statistics, "frequency", counts, len(table), 0.5, 3)
    found = probe(readout(load_module(path)), *given).regression
    assert kept["probe/frequency/cross_validated_r2"] == pytest.approx(
        found.cross_validated_r2, rel=1e-6
    )
    assert kept["probe/geometric/r2"] == pytest.approx(1, abs=1e-12)
    assert not (tmp_path / "contexts.csv").exists()


@pytest.mark.slow
def test_the_self_test_alone(path, tmp_path, capsys):
    ask(path, f"--folder={tmp_path}", "--target=geometric")
    assert "Self-test passed" in capsys.readouterr().out
    assert imread(tmp_path / "probe.png").std() > 0


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_model_that_cannot_be_drawn_has_no_such_control(path, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("framework.papers.token_encoding.verbs.probe.untrained", lambda path: None)
    ask(path, f"--folder={tmp_path}")
    said = capsys.readouterr().out
    assert "control: untrained" not in said
    assert "no untrained model" in said
    assert untrained(path) is not None


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["probe", "--help"])
    assert end.value.code == 0
    assert "--untrained" in capsys.readouterr().out


@pytest.mark.slow
def test_mistakes(path, tmp_path, capsys):
    folder = f"--folder={tmp_path / 'none'}"
    assert "probe takes one checkpoint, got 0" in told(capsys)
    assert "probe takes one checkpoint, got 2" in told(capsys, path, path)
    assert "There is no checkpoint" in told(capsys, tmp_path / "x.ckpt")
    assert "target" in told(capsys, path, folder, "--target=beta")
    assert "ridge" in told(capsys, path, folder, "--ridge=-1")
    assert "folds" in told(capsys, path, folder, "--folds=1")
    assert "untrained" in told(capsys, path, folder, "--untrained=-1")
    assert "--sequences 0 is too small" in told(capsys, path, folder, "--sequences=0")
    assert "There are no statistics" in told(capsys, path, folder, f"--statistics={tmp_path}/x")
    assert "--rigde" in told(capsys, path, folder, "--rigde=1")
    shutil.copy(path, tmp_path / "alone.ckpt")
    assert "No recipe was saved" in told(capsys, tmp_path / "alone.ckpt", folder)
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_statistics_of_another_model_are_refused(tied, probed, tmp_path, capsys):
    file = f"--statistics={probed[1] / 'statistics.safetensors'}"
    said = told(capsys, tied, file, f"--folder={tmp_path / 'none'}")
    assert "gathered with the read-out of" in said
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_width_that_is_too_large_is_refused(model, tmp_path, capsys):
    said = told(capsys, model("wide"), f"--folder={tmp_path / 'none'}")
    assert "tokens are too few to regress" in said
    assert not (tmp_path / "none").exists()
