"""The commands of the README work: the two that set up, and every run that it shows."""

import importlib
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cli
import components
import framework.data
from framework.console import recipes

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
    # several processes start by running the script again, so they are tested on ranks
    if line.startswith("lightning fit") and "--trainer.devices" not in line
]
OWN = [run for run in RUNS if "--data.source" in run]


@pytest.fixture
def own_files(tmp_path, monkeypatch):
    """A working directory with the files of a reader: sales, books, episodes and houses."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    months = pd.date_range("2015-01-01", periods=132, freq="MS")
    season = 20 * np.sin(np.arange(132) * np.pi / 6)
    shops = [
        pd.DataFrame({"id": name, "time": months, "value": 100 + season + generator.normal(0, 3)})
        for name in ("north", "south")
    ]
    pd.concat(shops).to_csv("sales.csv", index=False)
    Path("books").mkdir()
    Path("books/one.txt").write_text("It was the best of times, it was the worst of times. " * 400)
    area = generator.uniform(30, 200, 400)
    price = 3000 * area + generator.normal(0, 20_000, 400)
    pd.DataFrame({"area": area, "price": price}).to_csv("houses.csv", index=False)
    np.savez(
        "episodes.npz",
        observation=generator.normal(size=(600, 4)).astype(np.float32),
        action=generator.integers(0, 2, 600),
        reward=np.ones(600, np.float32),
        length=np.full(20, 30),
    )


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
        pytest.param(run, id=" ".join(run), marks=[] if run in OWN else [pytest.mark.slow])
        for run in [["fit", "--config", "quickstart"], *RUNS]
    ],
)
@pytest.mark.usefixtures("own_files")
def test_runs_that_are_shown(run, capsys):
    cli.main([*run, "--config", "smoke"])
    assert "Metrics after 2 steps" in capsys.readouterr().out


@pytest.mark.slow
def test_a_checkpoint_is_tested_and_predicts_as_is_shown(tmp_path, monkeypatch, capsys):
    shown = [line for line in COMMANDS if re.match("lightning (test|predict) ", line)]
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.max_steps", "2", "--trainer.val_check_interval", "2"]
    few = ["--data.eval_batch_size", "4", "--model.paths.samples", "2"]
    cli.main(["fit", "--config", "quickstart", *short, *few, "--trainer.limit_val_batches", "1"])
    for line in shown:
        verb = line.split()[1]
        cli.main([*shlex.split(line)[1:], f"--trainer.limit_{verb}_batches", "1"])
    said = capsys.readouterr().out
    assert len(shown) == 2
    assert "mase" in said
    assert "Predictions" in said


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
