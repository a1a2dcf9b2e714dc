"""The verb `prune`: what it says, what it writes, and mistakes in a sentence."""

import csv
import json
import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
import torch
from matplotlib.image import imread

import cli
from framework.checkpoints import read
from framework.console.checkpoint_options import leading
from framework.modules.loading import load_module
from framework.papers.token_encoding.pruning.head import PrunedHead

# Each runs the verb on a model that was trained.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

QUICK = ["--accelerator=cpu", "--sequences=12", "--contexts=150", "--measured=100"]
MATRIX = "head.projection.weight"


def prune(*words):
    paths, options = leading([str(word) for word in words])
    cli.main(["prune", *paths, *QUICK, *options])


def told(capsys, *words):
    """What a command that fails says."""
    with pytest.raises(SystemExit) as end:
        prune(*words)
    assert end.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert re.search(r"prune: error: .*([.]|got \S+)$", error)
    return error


def forward(said):
    """The KL of a forward pass, and the computed one."""
    measured, computed = re.findall(r"differs by (\S+) nats of KL.*contexts: (\S+) and", said)[0]
    return float(measured), float(computed)


@pytest.fixture(scope="module")
def swept(path):
    """What the verb says of all orders."""
    with redirect_stdout(StringIO()) as out:
        prune(path)
    return out.getvalue()


def test_a_sweep_is_told_and_left_beside_the_checkpoint(path, swept):
    for name in ("absA_sd", "random 0", "random 1", "random 2", "reverse", "rotated"):
        assert len(re.findall(rf"^{name} ", swept, re.MULTILINE)) == 4  # measures
    assert "The paper says that more than 30% of dimensions" in swept
    folder = path.parent / "last-prune"
    assert str(folder / "pruning.png") in swept
    assert imread(folder / "pruning.png").std() > 0
    with (folder / "pruning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["way"] for row in rows} == {"zeros", "mean folded"}
    assert {float(row["kl"]) for row in rows if row["deleted"] == "0"} == {0.0}
    kept = json.loads((folder / "pruning.json").read_text())
    assert kept["prune/reverse, zeros/kl at 30%"] > 0


def test_zeros_change_the_read_out_alone(path, tmp_path, capsys):
    new = tmp_path / "new.ckpt"
    prune(path, new, "--fraction=0.5")
    said = capsys.readouterr().out
    for name in ("random 0", "random 1", "random 2", "reverse"):
        assert len(re.findall(rf"^{name} ", said, re.MULTILINE)) == 2  # ways
    measured, computed = forward(said)
    assert measured == pytest.approx(computed, rel=1e-3)
    before, after = read(path)["state_dict"], read(new)["state_dict"]
    assert [name for name in before if not before[name].equal(after[name])] == [MATRIX]
    deleted = ~after[MATRIX].any(0)
    assert deleted.sum() == 4
    assert after[MATRIX][:, ~deleted].equal(before[MATRIX][:, ~deleted])
    assert after.keys() == before.keys()
    assert (tmp_path / "new.yaml").is_file()


def test_a_narrower_read_out_says_what_zeros_say(path, tmp_path, capsys):
    words = ["--fraction=0.5", "--fold=true", "--saliency=energy_var"]
    prune(path, tmp_path / "zeros.ckpt", *words)
    prune(path, tmp_path / "narrow.ckpt", *words, "--physical=true")
    zeros, narrow = (load_module(tmp_path / f"{name}.ckpt") for name in ("zeros", "narrow"))
    assert isinstance(narrow.head, PrunedHead)
    assert narrow.head.output_embedding().weight.shape == (zeros.spec.support.size, 4)
    hidden = torch.randn(50, 8)
    torch.testing.assert_close(
        narrow.head(hidden).logits.softmax(-1),
        zeros.head(hidden).logits.softmax(-1),
        rtol=0,
        atol=1e-6,
    )
    [note] = read(tmp_path / "narrow.ckpt")["edits"]
    assert (note["verb"], note["saliency"], note["deleted"]) == ("prune", "energy_var", 4)
    assert (note["folded"], note["physical"], note["fraction"]) == (True, True, 0.5)
    assert note["cost"]["split"] == "val"
    assert f"{note['cost']['kl']:.4f} nats of KL" in capsys.readouterr().out
    assert len(note["sha256"]) == len(note["readout"]) == 64
    assert note["versions"]["torch"] == torch.__version__


def test_nothing_deleted_is_the_same_model(path, tmp_path, capsys):
    prune(path, tmp_path / "same.ckpt", "--fraction=0")
    assert forward(capsys.readouterr().out) == (0.0, 0.0)
    before, after = read(path)["state_dict"], read(tmp_path / "same.ckpt")["state_dict"]
    assert all(before[name].equal(after[name]) for name in before)


@pytest.fixture(scope="module")
def half(path, tmp_path_factory):
    """What was noted where half of the dimensions were deleted."""
    new = tmp_path_factory.mktemp("half") / "half.ckpt"
    prune(path, new, "--fraction=0.5", "--saliency=energy")
    return read(new)["edits"][0]


@pytest.mark.parametrize(("option", "measure"), [("kl_budget", "kl"), ("js_budget", "js")])
def test_a_budget_is_kept_and_used(option, measure, path, half, tmp_path, capsys):
    """One dimension more would exceed it."""
    budget = half["cost"][measure] * 1.01
    prune(path, tmp_path / "new.ckpt", f"--{option}={budget}", "--saliency=energy")
    [note] = read(tmp_path / "new.ckpt")["edits"]
    assert note["deleted"] == 4
    assert 0 < note["cost"][measure] <= budget == note[option]
    error = told(capsys, path, tmp_path / "x.ckpt", f"--{option}=1e-12")
    assert f"prune: {option}=1e-12 is less than the" in error
    assert not (tmp_path / "x.ckpt").exists()


def test_directions_leave_a_dense_matrix_of_lower_rank(path, tmp_path, capsys):
    prune(path, tmp_path / "new.ckpt", "--fraction=0.5", "--saliency=rotated", "--fold=true")
    matrix = read(tmp_path / "new.ckpt")["state_dict"][MATRIX]
    assert matrix.all()
    singular = np.linalg.svd(matrix.double().numpy(), compute_uv=False)
    assert singular[4] < 1e-5 * singular[0] < singular[3]
    assert (tmp_path / "new.ckpt").is_file()
    error = told(
        capsys,
        path,
        tmp_path / "x.ckpt",
        "--fraction=0.5",
        "--saliency=rotated",
        "--physical=true",
    )
    assert "every dimension is still read" in error


def test_a_tied_read_out_is_untied_on_request(tied, tmp_path, capsys):
    assert "add --untie true" in told(capsys, tied, tmp_path / "x.ckpt", "--fraction=0.5")
    prune(tied, tmp_path / "new.ckpt", "--fraction=0.5", "--untie=true", "--physical=true")
    measured, computed = forward(capsys.readouterr().out)
    assert measured == pytest.approx(computed, rel=1e-3)
    before, after = read(tied)["state_dict"], read(tmp_path / "new.ckpt")["state_dict"]
    assert all(before[name].equal(after[name]) for name in before)  # the embedding stays whole
    kept = after["head.projection.0.index"]
    vectors = next(x for name, x in before.items() if name.startswith("stem.embedding"))
    assert after["head.projection.1.weight"].equal(vectors[:, kept])


def test_features_are_not_left_out(model, tmp_path, capsys):
    fan, new = model("fan"), tmp_path / "new.ckpt"
    error = told(capsys, fan, new, "--fraction=0.5", "--physical=true")
    assert "has a FanHead, whose read-out does not read hidden states themselves" in error
    assert not new.exists()
    prune(fan, new, "--fraction=0.5")
    measured, computed = forward(capsys.readouterr().out)
    assert measured == pytest.approx(computed, rel=1e-3)


def test_a_narrow_read_out_is_made_narrower_still(path, tmp_path, capsys):
    first, second = tmp_path / "first.ckpt", tmp_path / "second.ckpt"
    prune(path, first, "--fraction=0.25", "--physical=true")
    prune(first, second, "--fraction=0.5", "--physical=true", "--saliency=energy")
    measured, computed = forward(capsys.readouterr().out.split("Deleted 3 of 6")[1])
    assert measured == pytest.approx(computed, rel=1e-3)
    kept = [set(load_module(x).head.projection[0].index.tolist()) for x in (first, second)]
    assert kept[1] < kept[0]
    assert [note["deleted"] for note in read(second)["edits"]] == [2, 3]


def test_mistakes(path, tmp_path, capsys):
    new = tmp_path / "new.ckpt"
    assert "prune takes a checkpoint" in told(capsys)
    assert "got 3 of them" in told(capsys, path, new, new)
    assert "one of --fraction, --kl_budget and --js_budget, got 0" in told(capsys, path, new)
    assert "got 2" in told(capsys, path, new, "--fraction=0.1", "--kl_budget=0.1")
    assert "fraction=1.5 is no share" in told(capsys, path, new, "--fraction=1.5")
    assert "deletes all 8 dimensions" in told(capsys, path, new, "--fraction=0.99")
    assert "kl_budget=-1.0 is no budget" in told(capsys, path, new, "--kl_budget=-1")
    assert "name the new checkpoint" in told(capsys, path, "--fraction=0.1")
    assert "--held_out train is the split" in told(capsys, path, "--held_out=train")
    assert "--measured 0 holds no context" in told(capsys, path, "--measured=0")
    assert "absB" in told(capsys, path, new, "--saliency=absB", "--fraction=0.1")
    assert "exists already" in told(capsys, path, path, "--fraction=0.1")
    assert "There is no checkpoint" in told(capsys, tmp_path / "x.ckpt")
    assert not list(tmp_path.iterdir())


def test_help(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["prune", "--help"])
    assert end.value.code == 0
    assert "--kl_budget" in capsys.readouterr().out
