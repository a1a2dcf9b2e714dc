"""A command line runs no code that a recipe or a checkpoint names and that is no part of a model.

Each attempt would leave a mark; it ends in one sentence with status 2 instead.
"""

import shutil
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
import yaml
from jsonargparse import ArgumentError

import cli
from framework.console import import_path, verbs
from framework.importing import TRUST
from framework.modules import DensityModel
from framework.modules.loading import load_module

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

PEAKS = ("two_peaks", "smoke")
SERIES = ("quickstart",)
SLOTS = {  # base recipes, and keys of the overlay on the way to the slot
    "model": (PEAKS, ("model",)),
    "head": (PEAKS, ("model", "head")),
    "stem": (PEAKS, ("model", "stem")),
    "backbone": (PEAKS, ("model", "backbone")),
    "optimizer": (PEAKS, ("model", "optimizer")),
    "schedule": (PEAKS, ("model", "schedule")),
    "loss": (PEAKS, ("model", "losses", "nll")),
    "initialization": (PEAKS, ("model", "initialization")),
    "data": (PEAKS, ("data",)),
    "source": (SERIES, ("data", "source")),
    "scaling": (SERIES, ("data", "scaling")),
    "logger": (PEAKS, ("trainer", "logger")),
    "strategy": (PEAKS, ("trainer", "strategy")),
    "profiler": (PEAKS, ("trainer", "profiler")),
    "callbacks": (PEAKS, ("trainer", "callbacks")),
}
CALLS = {  # each leaves the mark when it is called
    "os.system": {"command": "mkdir {}"},
    "subprocess.call": {"args": ["mkdir", "{}"]},
    "builtins.eval": {"source": "__import__('os').mkdir('{}')"},
    "pathlib.Path.unlink": {"self": "{}"},
    "pathlib.Path.mkdir": {"self": "{}"},
    "torch.save": {"obj": 1, "f": "{}"},
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory; a search path and trust that no other test knows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(import_path, "_searched", [])
    monkeypatch.delenv(TRUST, raising=False)
    yield tmp_path
    for name in ("evil_head", "own_head"):
        sys.modules.pop(name, None)


def refused(args, capsys):
    """Returns the sentence that a command line ends with."""
    with pytest.raises(SystemExit) as end:
        cli.main(args)
    assert end.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "Traceback" not in "".join(said)
    return said[-1]


def described(path, marker):
    def filled(value):
        items = [filled(item) for item in value] if isinstance(value, list) else None
        return items or (value.format(marker) if isinstance(value, str) else value)

    return {
        "class_path": path,
        "init_args": {name: filled(value) for name, value in CALLS[path].items()},
    }


def overlay(folder, keys, value):
    """Writes a recipe that sets one slot; returns its path."""
    for key in reversed(keys):
        value = {key: [value] if key == "callbacks" else value}
    (folder / "overlay.yaml").write_text(yaml.safe_dump(value))
    return str(folder / "overlay.yaml")


def configs(names):
    return [word for name in names for word in ("--config", name)]


@pytest.mark.parametrize("slot", SLOTS)
def test_no_slot_calls_a_function(slot, place, capsys):
    bases, keys = SLOTS[slot]
    marker = place / "marker"
    recipe = overlay(place, keys, described("os.system", marker))
    said = refused(["fit", *configs([*bases, recipe])], capsys)
    assert "os.system is of Python's standard library" in said
    assert "overlay.yaml, line" in said
    assert not marker.exists()


@pytest.mark.slow
@pytest.mark.parametrize("slot", ["head", "optimizer"])
@pytest.mark.parametrize("path", CALLS)
def test_no_function_is_called(slot, path, place, capsys):
    bases, keys = SLOTS[slot]
    marker = place / "marker"
    if "unlink" in path:
        marker.touch()
    recipe = overlay(place, keys, described(path, marker))
    assert path in refused(["fit", *configs([*bases, recipe])], capsys)
    assert path in refused(["fit", *configs(bases), f"--{'.'.join(keys)}", path], capsys)
    assert marker.exists() == ("unlink" in path)


def test_functions_in_options_without_a_type_are_not_called(place, capsys):
    marker = place / "marker"
    saving = described("torch.save", marker)
    callback = {"class_path": "LambdaCallback", "init_args": {"on_fit_start": saving}}
    recipe = overlay(place, ("trainer", "callbacks"), callback)
    assert "torch.save" in refused(["fit", *configs([*PEAKS, recipe])], capsys)
    assert not marker.exists()


def test_a_module_of_python_is_not_imported(place, capsys):
    sys.modules.pop("antigravity", None)
    said = refused(["fit", *configs(PEAKS), "--model.head", "antigravity.Head"], capsys)
    assert "antigravity.Head is of Python's standard library" in said
    assert "antigravity" not in sys.modules  # it opens a browser


HEAD = """\
from pathlib import Path

from components.heads import NormalHead

Path({!r}).touch()


class Head(NormalHead):
    '''A head.'''
"""
RUN = "trainer: {enable_checkpointing: true, limit_val_batches: 0, max_steps: 1}"


@pytest.fixture
def downloaded(place, capsys):
    """A run with a head in a file beside its recipe, in a folder that one might have got."""
    folder, marker = place / "got", place / "imported"
    folder.mkdir()
    (folder / "evil_head.py").write_text(HEAD.format(str(marker)))
    recipe = folder / "my.yaml"
    recipe.write_text(f"model: {{head: evil_head.Head}}\n{RUN}\n")
    root = f"--trainer.default_root_dir={folder}"
    cli.main(["fit", *configs([*PEAKS, str(recipe)]), root])
    assert marker.exists(), "a recipe that the user names may name modules beside it"
    marker.unlink()
    sys.modules.pop("evil_head")
    sys.path[:] = [path for path in sys.path if not path.startswith(str(place))]
    capsys.readouterr()
    (path,) = folder.rglob("last.ckpt")
    return path, marker


def test_modules_beside_a_checkpoint_need_trust(downloaded, monkeypatch, capsys):
    path, marker = downloaded
    monkeypatch.chdir(path.parent)
    (path.parent / "evil_head.py").write_text((path.parents[1] / "evil_head.py").read_text())
    monkeypatch.syspath_prepend(path.parent)  # even if Python would find it
    words = ["test", "--ckpt_path", str(path), "--trainer.limit_test_batches=1"]
    said = refused(words, capsys)
    assert "evil_head.Head is not imported for a checkpoint" in said
    assert "give --trust" in said
    with pytest.raises(ValueError, match="give --trust"):
        load_module(path)
    assert not marker.exists()
    cli.main([*words, "--trust"])
    assert marker.exists()


@pytest.mark.slow
def test_a_recipe_that_the_user_names_needs_no_trust(downloaded, capsys):
    path, marker = downloaded
    recipe = configs([*PEAKS, str(path.parents[1] / "my.yaml")])
    words = ["test", *recipe, "--ckpt_path", str(path), "--trainer.limit_test_batches=1"]
    cli.main(words)
    assert marker.exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run of one step."""
    folder = tmp_path_factory.mktemp("trained")
    root = f"--trainer.default_root_dir={folder}"
    keeping = ("--trainer.enable_checkpointing=true", "--trainer.limit_val_batches=0")
    cli.main(["fit", *configs(PEAKS), root, *keeping, "--trainer.max_steps=1"])
    return folder


@pytest.mark.parametrize(
    "slot",
    [
        "head",
        *(
            pytest.param(slot, marks=pytest.mark.slow)
            for slot in ("optimizer", "data", "logger", "callbacks")
        ),
    ],
)
def test_a_recipe_beside_a_checkpoint_is_data(slot, trained, place, capsys):
    shutil.copytree(trained, place, dirs_exist_ok=True)
    capsys.readouterr()
    (path,) = place.rglob("last.ckpt")
    (recipe,) = place.rglob("config.yaml")
    saved = yaml.safe_load(recipe.read_text())
    inner = saved
    keys = SLOTS[slot][1]
    if keys[0] == "model" and len(keys) > 1:
        inner, keys = saved["model"]["init_args"], keys[1:]
    for key in keys[:-1]:
        inner = inner[key]
    for named in ("os.system", "torch.save"):
        value = described(named, place / "marker")
        inner[keys[-1]] = [value] if slot == "callbacks" else value
        recipe.write_text(yaml.safe_dump(saved))
        assert named in refused(["test", "--ckpt_path", str(path)], capsys)
        assert named in refused(["test", "--ckpt_path", str(path), "--trust"], capsys)
        assert not (place / "marker").exists()


@pytest.mark.parametrize("args", [["recipes"], ["import", "a", "b"], ["study", "a"], []])
def test_trust_is_refused_where_there_is_no_checkpoint(args, capsys):
    assert "--trust goes behind a command that reads a checkpoint" in refused(
        [*args, "--trust"], capsys
    )


@pytest.mark.parametrize("verb", [*filter(verbs.reads_checkpoint, verbs.names()), "fit", "test"])
def test_help_names_trust(verb, capsys):
    with suppress(SystemExit):
        cli.main([verb, "--help"])
    assert "--trust" in capsys.readouterr().out


PARTS = ("stem", "backbone", "head", "optimizer", "schedule")


@pytest.mark.slow
@pytest.mark.parametrize("named", ["os.system", "torch.save"])
def test_hyper_parameters_are_data(named, trained, place):
    shutil.copytree(trained, place, dirs_exist_ok=True)
    (path,) = place.rglob("last.ckpt")
    assert load_module(path)
    value = described(named, place / "marker")
    whole = torch.load(path, weights_only=True)
    options = whole["hyper_parameters"]
    changes = [{name: value} for name in PARTS]
    changes += [{"losses": {"nll": value}}, {"_class_path": named, **value["init_args"]}]
    for change in changes:
        torch.save({**whole, "hyper_parameters": {**options, **change}}, path)
        with pytest.raises(ValueError, match=named):
            load_module(path)
        with pytest.raises((ValueError, ArgumentError)):
            DensityModel.load_from_checkpoint(path, weights_only=True)
        _check_packaged(place, {**options, **change}, whole["state_dict"], named)
    assert not (place / "marker").exists()


def _check_packaged(folder: Path, options: dict, state: dict, named: str) -> None:
    """Checks the same of a file of safetensors, where such files can be read."""
    if find_spec("framework.packaged") is None:
        return
    packaged = import_module("framework.packaged")
    path = folder / "model.safetensors"
    path.unlink(missing_ok=True)
    packaged.write_packaged(path, options, state)
    with pytest.raises(ValueError, match=named):
        load_module(path)
