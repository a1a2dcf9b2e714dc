"""The verb `future`: what it prints and writes, and errors in one sentence."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import cli
from framework.modules.loading import load_module
from framework.papers.myopic.verbs import future
from framework.tasks.lagged_sines import LaggedSines, SequenceData
from tests.framework.papers.myopic.models import Windows

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

QUICK = ["--accelerator", "cpu", "--data.validation", "40"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of two checkpoints of a run of three steps, at steps 2 and 3."""
    folder = tmp_path_factory.mktemp("run")
    sizes = ["--model.backbone.dim=8", "--model.backbone.feedforward.hidden=16"]
    limits = ["--trainer.max_steps=3", "--trainer.val_check_interval=2", "--data.validation=8"]
    place = [f"--trainer.default_root_dir={folder}", "--trainer.accelerator=cpu"]
    quiet = ["--trainer.enable_progress_bar=false", "--data.batch_size=8"]
    cli.main(["fit", "--config", "lagged_sines", *sizes, *limits, *place, *quiet])
    return folder / "lagged_sines" / "version_0" / "checkpoints"


def told(capsys, *words):
    """What a command that fails says."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_probes_are_told_and_left_beside_the_checkpoint(run, capsys):
    cli.main(["future", "probes", str(run / "last.ckpt"), "--first", "5", *QUICK])
    said = capsys.readouterr().out
    assert "layer 0  layer 1  layer 2" in said
    folder = run / "last-future"
    assert str(folder / "probes.png") in said
    table = rows(folder / "probes.csv")
    assert [row["regressor"] for row in table][:2] == ["sin x[n]", "sin x[n-1]"]
    kept = json.loads((folder / "probes.json").read_text())
    first = kept["probes/layer 1/sin x[n]"]
    assert first == pytest.approx(float(table[0]["layer 1"]), rel=1e-6)
    assert f"{first:.3f}" in said
    assert imread(folder / "probes.png").std() > 0
    events = EventAccumulator(str(folder)).Reload()
    [logged] = events.Scalars("probes/layer 1/sin x[n]")
    assert logged.value == pytest.approx(first, rel=1e-6)
    assert events.Tags()["images"] == ["probes"]


@pytest.mark.slow
def test_positions_of_two_checkpoints_are_compared(run, tmp_path):
    """The numbers are those of a loop over the data of the recipe."""
    paths = [str(run / "last.ckpt"), str(run / "best.ckpt")]
    cli.main(["future", "positions", *paths, *QUICK, "--loss=huber", f"--folder={tmp_path}"])
    data = SequenceData(LaggedSines(5, 4.0, 0.5), length=20, validation=40)
    batch = data.dataset("val").__getitems__(list(range(40)))
    expected = []
    for path in paths:
        with torch.no_grad():
            error = (load_module(path)(batch).mean - batch.target).abs().double().numpy()
        expected.append(np.where(error < 1, error**2 / 2, error - 0.5).mean(0))
    table = rows(tmp_path / "positions.csv")
    assert [row["model"] for row in table] == ["last"] * 20 + ["best"] * 20
    found = np.array([float(row["loss"]) for row in table]).reshape(2, 20)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    gaps = np.array([float(row["gap"]) for row in table[20:]])
    np.testing.assert_allclose(gaps, expected[1] - expected[0], atol=1e-5)


@pytest.mark.slow
def test_gradients_of_two_steps_of_a_run(run, tmp_path, capsys):
    paths = [str(run / "best.ckpt"), str(run / "last.ckpt")]
    cli.main(["future", "gradients", *paths, *QUICK, f"--folder={tmp_path}"])
    said = capsys.readouterr().out
    assert "Gradients of 2 checkpoints" in said
    assert "block 2" in said
    table = rows(tmp_path / "gradients.csv")
    assert [row["step"] for row in table if row["group"] == "all"] == ["2", "3"]
    last = {row["group"]: row for row in table if row["step"] == "3"}
    assert float(last["backbone.norm.weight"]["future"]) == 0  # which knows no past
    assert float(last["block 1"]["future"]) > 0
    kept = json.loads((tmp_path / "gradients.json").read_text())
    assert kept["gradient/cosine"] == pytest.approx(float(last["all"]["cosine"]), rel=1e-6)


def test_help(capsys):
    cli.main(["future", "--help"])
    assert "future gradients: Splits the gradient" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        cli.main(["future", "probes", "--help"])
    assert end.value.code == 0
    assert "--first" in capsys.readouterr().out


@pytest.mark.slow
def test_mistakes(run, tmp_path, capsys):
    last = run / "last.ckpt"
    assert "future has no question ''" in told(capsys, "future")
    assert "future has no question 'probe'" in told(capsys, "future", "probe", last)
    assert "future probes needs a checkpoint" in told(capsys, "future", "probes")
    assert "reads one checkpoint, got 2" in told(capsys, "future", "probes", last, last)
    assert "There is no checkpoint" in told(capsys, "future", "probes", tmp_path / "x.ckpt")
    said = told(capsys, "future", "positions", last, "--loss", "crps", *QUICK)
    assert "has no term 'crps' in its objective; choose from huber, nll" in said
    assert "--fist" in told(capsys, "future", "probes", last, "--fist", "3")
    shutil.copy(last, tmp_path / "alone.ckpt")
    assert "No recipe was saved" in told(capsys, "future", "probes", tmp_path / "alone.ckpt")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": {}}))
    assert "names no data" in told(capsys, "future", "probes", tmp_path / "alone.ckpt")


@pytest.mark.slow
def test_data_that_do_not_fit(run, capsys):
    words = ["future", "probes", run / "last.ckpt", "--accelerator=cpu", "--data=TokenData"]
    text = ["--data.source=StateOfTheUnion", "--data.tokenizer=ByteTokenizer"]
    assert "SequenceSpec, the data hold" in told(capsys, *words, *text)
    with pytest.raises(ValueError, match=r"^Windows has no regressors, .* give your data a meth"):
        future._regressors(Windows(3))
