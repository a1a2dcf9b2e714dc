"""Classes of the user that are named by their path, and why some cannot be imported."""

import sys
from importlib import import_module

import pytest

import cli
from framework.console import import_path
from framework.console.explanations import class_paths

FILES = {
    "own_part.py": "class Part:\n    pass\n\n\nclass Whole:\n    pass\n",
    "own_broken.py": "import own_part\n\nx = 1 / 0\n",
    "own_syntax.py": "x = 1\nclass Part\n",
    "own_needs.py": "import not_there_at_all\n",
    "own_exits.py": "raise SystemExit('now')\n",
    "own_nested.py": "import own_broken\n",
    "json.py": "raise RuntimeError('hides a module of Python')\n",
    "pandas.py": "raise RuntimeError('hides a package')\n",
}


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """A folder with a recipe and modules, which is not the working directory."""
    work, beside = tmp_path / "work", tmp_path / "beside"
    for folder in (work, beside):
        folder.mkdir()
    for name, text in FILES.items():
        (beside / name).write_text(text)
    (beside / "my.yaml").write_text("model:\n  head: own_part.Part\n")
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(import_path, "_searched", [])
    import_path.extend(["fit", "--config", str(beside / "my.yaml")])
    yield beside
    for name in FILES:
        if name.startswith("own"):
            sys.modules.pop(name.removesuffix(".py"), None)


def test_finds_modules_beside_the_recipe_and_in_the_working_directory(beside):
    assert import_path.searched() == [beside.parent / "work", beside]
    (beside.parent / "work" / "own_other.py").write_text("class Other: pass\n")
    assert import_module("own_part").Part.__name__ == "Part"
    assert import_module("own_other").Other.__name__ == "Other"


def test_hides_no_module_of_python_or_a_package(beside):
    assert import_module("json").JSONDecoder.__module__ == "json.decoder"
    sys.modules.pop("json")
    assert import_module("json").JSONDecoder.__module__ == "json.decoder"
    said = class_paths.no_attribute("json", "Part")
    assert said.endswith(f"json/__init__.py, which hides {beside}/json.py; rename the latter")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("own_broken.Part", "own_broken.py, line 3: ZeroDivisionError: division by zero"),
        ("own_nested.Part", "own_broken.py, line 3: ZeroDivisionError: division by zero"),
        ("own_syntax.Part", "own_syntax.py, line 2: SyntaxError: expected ':'"),
        ("own_needs.Part", "line 1: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("own_exits.Part", "own_exits.py, line 1: SystemExit: now"),
    ],
)
def test_names_file_and_line_of_an_error_in_a_module(path, expected, beside):
    ((name, value, said),) = class_paths.broken(["fit", "--model.head", path])
    assert (name, value) == ("model.head", path)
    assert said.startswith(str(beside))
    assert said.endswith(expected)


@pytest.mark.parametrize(
    "value", ["own_part.Part", "own_missing.Part", "torch.nn.Nothing", "3.0", "a.csv", "x y.z", ""]
)
def test_does_not_blame_what_is_no_broken_module(value, beside):
    assert not list(class_paths.broken(["fit", "--model.head", value]))


def test_names_the_folders_where_it_looked(beside):
    said = class_paths.no_module("own_prat")
    assert said == (
        f"there is no module 'own_prat' in the working directory and {beside}, nor is one "
        "installed; did you mean own_part?"
    )


def test_names_the_nearest_class(beside):
    assert class_paths.no_attribute("own_part", "Prat") == (
        "own_part has no class 'Prat'; did you mean Part?"
    )
    assert class_paths.no_attribute("own_part", "Zzz").endswith("; it has Part, Whole")


HEAD = """\
from components.heads import NormalHead


class OwnHead(NormalHead):
    '''A head.'''


class NoHead:
    '''Something else.'''
"""


@pytest.mark.slow
def test_on_the_command_line(beside, tmp_path, capsys):
    """A head beside the recipe trains, and is found again beside the recipe of the checkpoint."""
    (beside / "own_head.py").write_text(HEAD)
    (beside / "my.yaml").write_text(
        "model:\n  head: own_head.OwnHead\n"
        "trainer: {enable_checkpointing: true, limit_val_batches: 0, max_steps: 1}\n"
    )
    recipe = ("--config", "two_peaks", "--config", "smoke", "--config", str(beside / "my.yaml"))
    root = f"--trainer.default_root_dir={tmp_path / 'run'}"
    try:
        cli.main(["fit", *recipe, root])
        assert "OwnHead" in capsys.readouterr().out
        (beside / "my.yaml").write_text("model:\n  head: own_head.OwnHed\n")
        with pytest.raises(SystemExit):
            cli.main(["fit", *recipe, root])
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{beside}/my.yaml, line 2: model.head: own_head has no class 'OwnHed'" in said
        (beside / "my.yaml").write_text("model:\n  head: own_head.NoHead\n")
        with pytest.raises(SystemExit):
            cli.main(["fit", *recipe, root])
        said = capsys.readouterr().err.splitlines()[-1]
        assert "model.head: own_head.NoHead is no Head; derive it from Head" in said
    finally:
        sys.modules.pop("own_head", None)
