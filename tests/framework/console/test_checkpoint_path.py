"""`--ckpt_path` finds the newest checkpoint of a run, and the recipe beside it."""

import os

import pytest
import torch
import yaml
from jsonargparse import Namespace

from framework.console import initial_weights, recipes
from framework.console.checkpoint_path import resolve, with_recipe
from framework.console.errors import UserError
from framework.data.module import PredictiveData

OVERLAY = str(recipes.find("strategy/ddp"))
COMPLETE = str(recipes.find("two_peaks"))


def checkpoint(path, age=0, **contents):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"pytorch-lightning_version": "2.6", **contents}, path)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


@pytest.fixture
def beside(tmp_path):
    """The path of a checkpoint, and that of the recipe beside it."""
    recipe = tmp_path / "config.yaml"
    recipe.write_text(yaml.safe_dump({"model": {"class_path": "M"}, "data": "D"}))
    return str(checkpoint(tmp_path / "checkpoints" / "last.ckpt")), str(recipe)


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize(
    "more",
    [
        [],
        ["--config", OVERLAY],
        [f"--config={OVERLAY}", "--trainer.devices", "2"],
        ["--data", "TokenData"],
        ["--model.head", "LinearHead"],
    ],
)
def test_takes_the_recipe_beside_the_checkpoint_before_overlays(verb, more, beside, capsys):
    path, recipe = beside
    for words in ([verb, f"--ckpt_path={path}", *more], [verb, *more, "--ckpt_path", path]):
        assert with_recipe(words) == [verb, "--config", recipe, *words[1:]]
        assert f"Recipe of the checkpoint: {recipe}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [["--config", COMPLETE], ["--model", "M", "--data=D"], ["-h"], ["-c", OVERLAY, "--help"]],
)
def test_a_complete_recipe_stands_alone(more, beside):
    words = ["fit", "--ckpt_path", beside[0], *more]
    assert with_recipe(words) == words


def test_the_last_path_of_a_command_line_counts(beside):
    assert with_recipe(["fit", "--ckpt_path", beside[0], "--ckpt_path", "last"]) == [
        *("fit", "--ckpt_path", beside[0], "--ckpt_path", "last")
    ]


def board(root, **changes):
    options = {"save_dir": str(root), "name": "run", **changes}
    return {"default_root_dir": str(root), "logger": Namespace(init_args=Namespace(options))}


def test_the_newest_of_all_versions_and_the_best_that_it_knows(tmp_path, capsys):
    for version, age in (("version_0", 1), ("version_1", 5), ("version_10", 9)):
        folder = tmp_path / "run" / version / "checkpoints"
        known = {"Checkpoint": {"best_model_path": f"/moved/away/{version}-best.ckpt"}}
        newest = checkpoint(folder / "last.ckpt", age, callbacks={"StepSeed": {}, **known})
        best = checkpoint(folder / f"{version}-best.ckpt", age)
    checkpoint(tmp_path / "other" / "version_0" / "checkpoints" / "last.ckpt", -9)
    first = tmp_path / "run" / "version_0" / "checkpoints"
    assert resolve("fit", "last", board(tmp_path), None) == str(first / "last.ckpt")
    assert f"Checkpoint: {first / 'last.ckpt'}" in capsys.readouterr().err
    assert resolve("test", "best", board(tmp_path), None) == str(first / "version_0-best.ckpt")
    listed = {**board(tmp_path), "logger": [board(tmp_path)["logger"]]}
    assert resolve("test", "last", listed, None) == str(first / "last.ckpt")
    os.utime(newest, (2e9, 2e9))
    assert resolve("validate", "best", board(tmp_path), None) == str(best)
    best.unlink()
    with pytest.raises(UserError, match=r"kept no best checkpoint.* use --ckpt_path last"):
        resolve("validate", "best", board(tmp_path), None)


def test_folders_without_versions(tmp_path):
    plain = {"default_root_dir": str(tmp_path), "logger": False}
    checkpoint(tmp_path / "checkpoints" / "last.ckpt", 3)
    newer = checkpoint(tmp_path / "checkpoints" / "last-v1.ckpt")
    assert resolve("fit", "last", plain, None) == str(newer)
    elsewhere = checkpoint(tmp_path / "elsewhere" / "last.ckpt")
    assert resolve("fit", "last", plain, str(elsewhere.parent)) == str(elsewhere)
    usual = checkpoint(tmp_path / "lightning_logs" / "version_0" / "checkpoints" / "last.ckpt")
    assert resolve("fit", "last", {**plain, "logger": True}, None) == str(usual)


def test_a_damaged_last_checkpoint_is_passed_over_with_a_sentence(tmp_path, capsys):
    folder = tmp_path / "run" / "version_0" / "checkpoints"
    earlier = checkpoint(folder / "step=1.ckpt", 9)
    newest = checkpoint(folder / "step=2.ckpt", 5)
    (folder / "last.ckpt").symlink_to("step=2.ckpt")
    assert resolve("fit", "last", board(tmp_path), None) == str(folder / "last.ckpt")
    assert "Damaged" not in capsys.readouterr().err
    (folder / "step=3.ckpt").mkdir()  # a folder of shards that was not completed
    newest.write_bytes(newest.read_bytes()[:-9])
    assert resolve("fit", "last", board(tmp_path), None) == str(earlier)
    said = capsys.readouterr().err
    torn = f"{folder / 'last.ckpt'} and {folder / 'step=3.ckpt'}"
    assert said.startswith(f"Damaged: {torn}; the one before is used.\n")
    with pytest.raises(ValueError, match=f"is damaged.*; use '{earlier}', which is whole"):
        with_recipe(["fit", "--ckpt_path", str(newest)])
    earlier.write_bytes(b"")
    torch.save(PredictiveData, newest)  # no data, which is not damage
    assert resolve("fit", "last", board(tmp_path), None) == str(folder / "last.ckpt")
    newest.write_bytes(b"")
    with pytest.raises(UserError, match=r"No checkpoint of this run can be read, .*ckpt for"):
        resolve("fit", "last", board(tmp_path), None)


@pytest.mark.parametrize("verb", ["fit", "validate", "test", "predict"])
def test_nothing_found_is_one_sentence(verb, tmp_path):
    with pytest.raises(UserError, match=r"there is no last.ckpt in .*/run/\*/checkpoints; give"):
        resolve(verb, "last", board(tmp_path), None)


def test_evaluation_needs_a_checkpoint_or_the_word_initial(tmp_path):
    for verb in ("validate", "test", "predict"):
        with pytest.raises(UserError, match=f"^{verb} reads the weights of a trained model; give"):
            resolve(verb, None, board(tmp_path), None)
        assert resolve(verb, "initial", board(tmp_path), None) == ""
    assert resolve("fit", None, board(tmp_path), None) == ""
    assert resolve("fit", "hpc", board(tmp_path), None) == "hpc"
    with pytest.raises(UserError, match="starts with initial weights anyway"):
        resolve("fit", "initial", board(tmp_path), None)


def model(initialization):
    return Namespace(class_path="M", init_args=Namespace(initialization=initialization))


def test_a_run_starts_from_weights_and_its_own_initialization_sets_the_rest(tmp_path):
    mitchell = Namespace(class_path="components.Mitchell", init_args=Namespace())
    started = model(mitchell)
    initial_weights.start_from(started, str(tmp_path))
    chosen = started.init_args.initialization
    assert chosen.class_path == "framework.exchange.Weights"
    assert (chosen.init_args.path, chosen.init_args.fresh) == (str(tmp_path), mitchell)
    initial_weights.start_from(started, str(tmp_path))  # once more: the new path, the same rest
    assert started.init_args.initialization.init_args.fresh == mitchell
    initial_weights.start_from_checkpoint(started)
    assert started.init_args.initialization == mitchell
    started.init_args.initialization = chosen
    chosen.class_path = "framework.exchange.weights.Weights"  # the same class
    initial_weights.start_from_checkpoint(started)
    assert started.init_args.initialization == mitchell
    with pytest.raises(UserError, match="--init_from no/such: there is no such file"):
        initial_weights.start_from(started, "no/such")


def test_an_initialization_of_the_same_name_stays(tmp_path, monkeypatch):
    (tmp_path / "own_of_test.py").write_text("class Weights:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    own = Namespace(class_path="own_of_test.Weights", init_args=Namespace())
    started = model(own)
    initial_weights.start_from_checkpoint(started)
    assert started.init_args.initialization == own
    initial_weights.start_from(started, str(tmp_path))
    assert started.init_args.initialization.init_args.fresh == own
