"""The head of one's own that a page shows is found, held to the laws and trained as shown."""

import importlib
import sys

import pytest

import cli
from tests.documentation.shown import blocks, commands

pytestmark = pytest.mark.slow  # each trains two steps

PAGE = "docs/own/head.md"
HEAD, LAWS, SCRIPT = blocks(PAGE, "python")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "mylaplace.py").write_text(HEAD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("mylaplace", None)


def test_trains_beside_the_recipe(capsys):
    (words,) = commands(PAGE)
    cli.main([*words[1:], "--config", "smoke"])
    said = capsys.readouterr().out
    assert "LaplaceHead" in said
    assert "Metrics after 2 steps" in said


def test_keeps_the_laws():
    exec(LAWS, {})


def test_trains_in_a_script(folder):
    short = SCRIPT.replace("max_steps=200", "max_steps=2, accelerator='cpu', logger=False")
    assert short != SCRIPT
    (folder / "readers_script.py").write_text(short.replace("\nTrainer(", "\ntrainer = Trainer("))
    sys.modules.pop("readers_script", None)
    model = importlib.import_module("readers_script").model
    assert model.trainer.global_step == 2
