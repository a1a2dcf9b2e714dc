"""Files are read as UTF-8 on every terminal, or named where that cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from framework.console import recipes
from framework.console.errors import UserError

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SCRIPT = r"""
import sys
from framework.console.encoding import use_utf8
from framework.console import recipes
use_utf8()
path = recipes.find(sys.argv[1])
with open(path) as file:  # as the parser of the command line opens it
    print(ascii(file.read()))
print("\u00e9")
"""


def test_a_terminal_without_utf8(tmp_path):
    (tmp_path / "recipe.yaml").write_text("data: 'naïve — é'\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "recipe.yaml")],
        cwd=Path(cli.__file__).parent, env=os.environ | ASCII, capture_output=True, check=True,
    )  # fmt: skip
    text, shown = done.stdout.decode().splitlines()
    assert text == ascii("data: 'naïve — é'\n")
    assert shown == "?"


def test_a_recipe_that_would_be_misread_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(recipes, "reads_utf8", lambda: False)
    (tmp_path / "plain.yaml").write_text("data: a\n", encoding="utf-8")
    assert recipes.find(str(tmp_path / "plain.yaml")) == tmp_path / "plain.yaml"
    (tmp_path / "odd.yaml").write_text("data: é\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"odd.yaml holds characters beyond ASCII, .*PYTHONUTF8=1"):
        recipes.find(str(tmp_path / "odd.yaml"))
    (tmp_path / "odd.yaml").write_bytes("data: é\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"odd.yaml: this is not YAML: 'utf-8' codec"):
        recipes.find(str(tmp_path / "odd.yaml"))
