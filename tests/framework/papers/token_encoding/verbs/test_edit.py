"""The verb `edit`: what it says, what it writes, and mistakes in a sentence."""

import csv
import json

import pytest
import torch

import cli
from framework.checkpoints import read
from framework.modules.loading import load_module

# Each runs the verb on a model that was trained.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("undrawn")]

QUICK = ["--accelerator=cpu", "--sequences=12", "--contexts=300"]
TOKENS = ["--tokens", '{"e": 1.4, " ": 0.8}']
OTHER = ["--other=PythonLibrary", "--other.limit=9000"]


@pytest.fixture(scope="module")
def path(model):
    """Knows enough for its rows to move as far as is requested."""
    return model("20 steps")


def edit(*words):
    cli.main(["edit", *map(str, words), *QUICK])


def told(capsys, *words):
    """What a command that fails says."""
    with pytest.raises(SystemExit) as end:
        edit(*words)
    assert end.value.code == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "error: " in error
    return error


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_edit_is_told_written_and_read_again(path, tmp_path, capsys):
    new, folder = tmp_path / "new.ckpt", tmp_path / "told"
    edit(path, new, *TOKENS, *OTHER, "--folder", folder)
    said = capsys.readouterr().out
    assert "whiten, calibrated" in said
    assert "of the closed form" in said
    table = rows(folder / "edit.csv")
    assert {row["on"] for row in table} == {"fit", "val", "other"}
    assert {row["rule"] for row in table} >= {"whiten", "mlr", "mlr-gain", "hbar", "bias"}
    for row in table:
        if row["rule"] == "whiten, calibrated" and row["on"] == "fit":
            assert float(row["actual"]) == pytest.approx(float(row["requested"]), rel=1e-6)
    metrics = json.loads((folder / "edit.json").read_text())
    assert metrics["edit/fit/whiten, calibrated/error"] < 1e-6

    before, after = read(path)["state_dict"], read(new)["state_dict"]
    changed = [name for name in before if not before[name].equal(after[name])]
    assert changed == ["head.projection.weight"]
    differ = (before[changed[0]] != after[changed[0]]).any(1).nonzero()[:, 0]
    assert differ.tolist() == sorted([ord("e"), ord(" ")])
    [note] = read(new)["edits"]
    assert (note["verb"], note["direction"], note["calibrated"]) == ("edit", "whiten", True)
    assert (note["ids"], note["scale"]) == ([101, 32], [1.4, 0.8])
    assert len(note["sha256"]) == len(note["readout"]) == 64
    assert note["versions"]["torch"] == torch.__version__

    error = told(capsys, new, tmp_path / "twice.ckpt", *TOKENS)
    assert "was edited before, and scales would multiply" in error
    assert not (tmp_path / "twice.ckpt").exists()
    edit(new, tmp_path / "twice.ckpt", *TOKENS, "--stack=true", "--folder", folder)
    assert len(read(tmp_path / "twice.ckpt")["edits"]) == 2


def test_a_bias_is_added_where_there_was_none(path, tmp_path, capsys):
    new = tmp_path / "new.ckpt"
    words = ["--ids", "{101: 3}", "--direction=bias", "--calibrate=false", "--folder", tmp_path]
    edit(path, new, *words)
    state = read(new)["state_dict"]
    bias = torch.zeros(257)
    bias[101] = torch.tensor(3.0).log()
    torch.testing.assert_close(state["head.projection.bias"], bias)
    before = read(path)["state_dict"]
    assert all(before[name].equal(state[name]) for name in before)
    assert load_module(new).head.output_embedding().bias is not None
    assert "bias" in capsys.readouterr().out


def test_a_tied_read_out_is_untied_on_request_only(tied, tmp_path, capsys):
    new = tmp_path / "new.ckpt"
    assert "add --untie true" in told(capsys, tied, new, *TOKENS)
    assert not new.exists()
    edit(tied, new, *TOKENS, "--untie=true", "--folder", tmp_path)
    before, after = read(tied)["state_dict"], read(new)["state_dict"]
    assert after["stem.embedding.weight"].equal(before["stem.embedding.weight"])
    assert not after["head.projection.weight"].equal(before["stem.embedding.weight"])
    assert load_module(new).hparams["tied"] is False


def test_without_a_new_name_nothing_is_written(path, tmp_path, capsys):
    there = set(path.parent.iterdir())
    edit(path, *TOKENS, "--folder", tmp_path)
    assert "requested" in capsys.readouterr().out
    assert set(path.parent.iterdir()) == there


def test_the_study_tries_all_rules_on_many_tokens(path, tmp_path, capsys):
    edit(path, "--folder", tmp_path)
    assert "x 0.05" in capsys.readouterr().out
    table = rows(tmp_path / "edits.csv")
    assert len({row["requested"] for row in table}) == 7
    mine = [row for row in table if (row["rule"], row["on"]) == ("whiten, calibrated", "fit")]
    assert all(float(row["error"]) < 1e-6 for row in mine)
    assert {row["on"] for row in table} == {"fit", "val"}


def test_mistakes(path, tmp_path, capsys):
    new = tmp_path / "new.ckpt"
    assert "takes a checkpoint and the name of a new one, got 0" in told(capsys, *TOKENS)
    assert "got 3 of them" in told(capsys, path, new, new, *TOKENS)
    assert "add --tokens or --ids" in told(capsys, path, new)
    said = told(capsys, path, new, "--tokens", '{"in": 2}')
    assert "'in' is not one token but 2: 'i' is 105, 'n' is 110; name one by --ids" in said
    assert "has no token ''" in told(capsys, path, new, "--tokens", '{"": 2}')
    assert "no token 257; --ids are from 0 to 256" in told(capsys, path, new, "--ids", "{257: 2}")
    assert "no token -1" in told(capsys, path, new, "--ids", "{-1: 2}")
    assert "scale 0 of 'e' is not positive" in told(capsys, path, new, "--tokens", '{"e": 0}')
    assert "scale -2 of 'e'" in told(capsys, path, new, "--tokens", '{"e": -2}')
    assert "scale 1 of 'e' would change nothing" in told(capsys, path, new, "--tokens", '{"e": 1}')
    said = told(capsys, path, new, "--tokens", '{"e": 2}', "--ids", "{101: 2}")
    assert "token 101 ('e') is named twice" in said
    said = told(capsys, path, new, *TOKENS, "--held_out=train")
    assert "is the split that the edit is fitted to" in said
    assert "direction: expected one of 'whiten'" in told(
        capsys, path, new, *TOKENS, "--direction=up"
    )
    assert "there is only 1; scales must stay below" in told(
        capsys, path, new, "--tokens", '{"e": 100000}'
    )
    assert not new.exists()
    new.touch()
    assert "exists already" in told(capsys, path, new, *TOKENS)


def test_a_direction_that_does_not_apply(path, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("framework.papers.token_encoding.editing.directions.NULL", -1.0)
    said = told(capsys, path, tmp_path / "new.ckpt", *TOKENS, "--direction=ln-exact")
    assert "ln-exact needs a vector" in said
    assert not (tmp_path / "new.ckpt").exists()


def test_data_that_cannot_read_another_corpus(path, tmp_path, capsys, monkeypatch):
    class ReadsCorpora:
        """Which TokenData is none of; what it has is remembered once it was tested for."""

    monkeypatch.setattr("framework.papers.token_encoding.verbs.edit.ReadsCorpora", ReadsCorpora)
    said = told(capsys, path, tmp_path / "new.ckpt", *TOKENS, *OTHER)
    assert "TokenData cannot read another corpus; drop --other" in said
