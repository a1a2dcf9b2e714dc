"""The commands of the README work: the two that set up, and every run that it shows."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest

import cli
import components
import framework.data
from framework.console import recipes
from tests.test_recipes import RECIPE_FILES

ROOT = Path(cli.__file__).parent
README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
RUNS = [
    shlex.split(line)[1:]
    for line in COMMANDS
    # several processes start by running the script again, so they are tested on ranks; own data
    # are tested where they are installed
    if re.match("lightning fit(?!.*(--trainer.devices|--data.source))", line)
]
# Recipes as they are shipped are trained by the tests of recipes
SHIPPED = ["quickstart", *(run[2] for run in RUNS if len(run) == 3)]


def test_the_two_commands():
    assert COMMANDS[0] == "pip install -c constraints.txt . && lightning fit --config quickstart"
    assert COMMANDS[1] == "pip install -c constraints.txt -e '.[dev]' && pytest"


def test_commands_are_what_is_installed():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"overtone": "cli:main", "lightning": "cli:main"}
    assert "dev" in project["optional-dependencies"]
    constraints = (ROOT / "constraints.txt").read_text().split()
    assert "torch==2.13.0" in constraints


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, id=" ".join(run), marks=[] if run == RUNS[0] else [pytest.mark.slow])
        for run in RUNS
        if len(run) > 3
    ],
)
def test_runs_that_are_shown(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main([*run, "--config", "smoke"])
    assert "Metrics after 2 steps" in capsys.readouterr().out


@pytest.mark.parametrize("name", SHIPPED)
def test_recipes_that_are_shown_are_trained(name):
    assert recipes.find(name) in RECIPE_FILES


def test_the_python_example_trains(tmp_path, monkeypatch):
    """The head in it is its reader's own; a run of two steps is as good as one of many."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    steps = re.sub(r"max_steps=\d+", "max_steps=2, accelerator='cpu', logger=False", example)
    assert steps != example
    (tmp_path / "readers_example.py").write_text(steps)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    trainer = importlib.import_module("readers_example").trainer
    assert trainer.global_step == 2
    assert trainer.callback_metrics["train/nll"].isfinite()


def test_studies_that_are_shown_exist():
    shown = [shlex.split(line) for line in COMMANDS if line.startswith("overtone study")]
    assert shown
    for words in shown:
        assert recipes.find(words[2], recipes.studies()).is_file()


def test_paths_that_are_named_exist():
    named = re.findall(r"`((?:components|framework|recipes|benchmarks)/[\w/.]+)`", README)
    linked = re.findall(r"\]\((?!http)([^)]+)\)", README)
    for path in [*named, *linked]:
        assert (ROOT / path).exists(), path


def test_classes_that_are_named_exist():
    names = re.findall(r"`([A-Z][A-Za-z]+(?:Head|Data|Stem)|MLP|Decoder|EncoderDecoder)`", README)
    assert names
    for name in names:
        assert hasattr(components, name) or hasattr(framework.data, name), name
