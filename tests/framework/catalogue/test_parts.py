"""`overtone list` names what recipes can name, under the names of their options."""

from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

import cli
from framework.catalogue import parts
from framework.console import options
from framework.data.module import PredictiveData


def listed(capsys, *words):
    cli.main(["list", *words])
    lines = capsys.readouterr().out.splitlines()
    return {line.split()[0]: line.partition("  ")[2].strip() for line in lines}


@pytest.mark.parametrize("name", ["head", "heads", "losses", "data", "backbones", "optimizers"])
def test_kinds_have_the_name_of_their_option_also_in_the_plural(name):
    assert parts.find(name).rstrip("es") == name.rstrip("es")


def test_every_class_has_a_line(capsys):
    heads = listed(capsys, "heads")
    assert heads["NormalHead"].strip().startswith("Predicts a normal distribution")
    data = {made.__name__ for made in parts.kinds()["data"]}
    assert {"SeriesData", "TokenData", "TrajectoryData", "DensityData"} <= data
    assert PredictiveData.__name__ not in data
    assert {"schedule", "tokenizer", "norm", "callbacks"} <= listed(capsys).keys()


class Sized(Protocol):
    """What an option of somebody's own part may ask for, and is built by no recipe."""

    size: int


def test_a_protocol_that_is_no_factory_has_no_classes():
    assert list(options.classes(Sized)) == []


class Delay(timedelta):
    """What a library derives from a type of Python's, and names no part."""


@pytest.mark.parametrize("hint", [timedelta, Path, timedelta | None, list[timedelta]])
def test_types_of_python_are_given_as_values(hint):
    assert list(options.classes(hint)) == []


def test_the_package_of_a_plugin_is_named(monkeypatch, capsys):
    said = {"__doc__": "Predicts wavelets. In time.", "__module__": "wavelets.heads"}
    monkeypatch.setattr(parts, "kinds", lambda: {"head": (type("WaveletHead", (), said),)})
    assert listed(capsys, "heads") == {"WaveletHead": "Predicts wavelets (wavelets)"}


def test_a_misspelt_kind_is_one_sentence(capsys):
    with pytest.raises(SystemExit):
        cli.main(["list", "haeds"])
    assert "There are no parts called 'haeds'; did you mean head" in capsys.readouterr().err
