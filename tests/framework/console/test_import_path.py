"""Modules of the user are found beside recipes and in the working directory, also afterwards."""

import sys
from importlib import import_module

import pytest
import torch

from framework.console import import_path
from framework.console.recipes import FOLDER
from framework.importing import TRUST, foreign


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """A working directory, a folder with a recipe and a module, and one with another module."""
    for name, module in (("here", ""), ("recipe", "beside"), ("elsewhere", "noted")):
        (tmp_path / name).mkdir()
        if module:
            (tmp_path / name / f"{module}_for_test.py").write_text(f"VALUE = {module!r}\n")
    (tmp_path / "recipe" / "own.yaml").write_text("trainer: {}\n")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(import_path, "_searched", [])
    yield tmp_path
    for module in ("beside_for_test", "noted_for_test"):
        sys.modules.pop(module, None)


@pytest.mark.parametrize("words", [["--config", "{}"], ["--config={}"]])
def test_recipes_name_their_folders(folders, words):
    before = list(sys.path)
    recipe = folders / "recipe" / "own.yaml"
    import_path.extend(["fit", *(word.format(recipe) for word in words)])
    added = [str(folders / "here"), str(folders / "recipe")]
    assert sys.path == [*before, *added], "at the end, so that nothing installed is hidden"
    import_path.extend(["fit", *(word.format(recipe) for word in words)])
    assert sys.path == [*before, *added]
    assert import_path.used() == []
    assert import_module("beside_for_test").VALUE == "beside"
    assert import_path.used() == [str(folders / "recipe")]


def test_there_are_no_modules_beside_shipped_recipes(folders):
    import_path.extend(["--config", str(FOLDER / "decision" / "cartpole.yaml")])
    assert import_path.searched() == [folders / "here"]


def test_checkpoints_that_are_trusted_note_where_modules_were(folders, monkeypatch):
    monkeypatch.setenv(TRUST, "1")
    noted = [str(folders / "elsewhere"), str(folders / "gone")]
    contents = {"pytorch-lightning_version": "2.6", import_path.NOTE: noted}
    torch.save(contents, folders / "a.ckpt")
    (folders / "damaged.ckpt").write_bytes(b"damaged")
    words = ["--ckpt_path", str(folders / "damaged.ckpt"), f"--other={folders / 'a.ckpt'}"]
    import_path.extend([*words, "no.ckpt"])
    assert import_path.searched() == [folders / "here", folders / "elsewhere"]
    assert import_module("noted_for_test").VALUE == "noted"


def test_checkpoints_that_are_trusted_name_the_folder_of_their_recipe(folders, monkeypatch):
    monkeypatch.setenv(TRUST, "1")
    (folders / "recipe" / "config.yaml").touch()
    (folders / "recipe" / "checkpoints").mkdir()
    path = folders / "recipe" / "checkpoints" / "a.ckpt"
    torch.save({"pytorch-lightning_version": "2.6"}, path)
    import_path.extend([str(path)])
    assert import_path.searched() == [folders / "here", folders / "recipe"]


def test_checkpoints_that_are_not_trusted_name_no_folders(folders):
    (folders / "recipe" / "config.yaml").touch()
    path = folders / "recipe" / "a.ckpt"
    noted = [str(folders / "elsewhere")]
    torch.save({"pytorch-lightning_version": "2.6", import_path.NOTE: noted}, path)
    before = list(sys.path)
    with foreign():
        import_path.extend([str(path)])
    assert sys.path == before, "a package that is not installed must not be found here either"
    import_path.extend(["--config", "quickstart", "--ckpt_path", str(path)])
    assert sys.path == [*before, str(folders / "here")]
