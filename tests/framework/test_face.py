"""What a user imports from `framework` is found there, and costs nothing before it is used."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import framework

PUBLIC = [
    (face, name) for face in framework.FACES for name in import_module(f"framework.{face}").__all__
]


@pytest.mark.parametrize(("face", "name"), PUBLIC)
def test_public_names_are_found(face, name):
    assert getattr(framework, name) is getattr(import_module(f"framework.{face}"), name)


def test_names_are_listed_once():
    names = [name for _, name in PUBLIC]
    assert len(names) == len(set(names))
    assert {*names, *framework.FACES} == set(dir(framework))


def test_a_star_imports_all_of_them():
    imported = {}
    exec("from framework import *", imported)
    assert {name for _, name in PUBLIC} <= set(imported)


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(AttributeError, match=r"'LanguageModl'; did you mean LanguageModel\?"):
        _ = framework.LanguageModl
    with pytest.raises(AttributeError, match=r"no attribute 'zzz'$"):
        _ = framework.zzz
    assert not hasattr(framework, "__wrapped__")


def test_names_are_imported_when_they_are_used():
    script = "import sys, framework; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(framework.__file__).parents[1], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
    assert framework.LanguageModel.__module__ == "framework.modules.language"
