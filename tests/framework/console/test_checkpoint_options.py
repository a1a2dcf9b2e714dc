"""Options of verbs are refused out of their range, before anything is read."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from framework.console.checkpoint_options import CheckpointOptions, parse_options
from framework.console.errors import UserError
from framework.data.module import PredictiveData
from framework.papers.myopic.verbs.future import OPTIONS
from framework.papers.token_encoding.options import EditOptions, ProbeOptions, PruneOptions


class Unread(PredictiveData):
    """Data that must not be read."""

    spec = None

    def __init__(self) -> None:
        raise AssertionError("were read")

    def dataset(self, split):
        raise NotImplementedError


@dataclass(frozen=True)
class Other(CheckpointOptions):
    """Options of a verb."""


def parse(kind, *words):
    return parse_options(kind, "overtone verb", "Does it.", None, ["--data", "Unread", *words])


@pytest.mark.parametrize(
    ("kind", "option", "value", "least"),
    [
        (Other, "sequences", "0", 1),
        (Other, "batch_size", "0", 1),
        (Other, "devices", "-1", 1),
        (EditOptions, "contexts", "0", 1),
        (PruneOptions, "sequences", "-3", 1),
        (ProbeOptions, "sequences", "0", 1),
        (ProbeOptions, "folds", "1", 2),
        (ProbeOptions, "ridge", "-1.0", 0),
        (ProbeOptions, "untrained", "-1", 0),
        (OPTIONS["probes"], "ridge", "-1.0", 0),
        (OPTIONS["probes"], "first", "-1", 0),
        (OPTIONS["positions"], "sequences", "0", 1),
    ],
)
def test_says_the_range(kind, option, value, least):
    with pytest.raises(UserError, match=f"^--{option} {value} is too small; use at least {least}"):
        parse(kind, f"--{option}", value)


def test_the_range_holds_in_python_too():
    with pytest.raises(UserError, match="--folds 1 is too small; use at least 2"):
        ProbeOptions(data=None, folds=1)
    assert ProbeOptions(data=None, sequences=None).sequences is None


@pytest.mark.parametrize(
    ("option", "written", "shown"),
    [
        ("tokens", " peace=2", """'{" peace": 2}'"""),
        ("tokens", "a=b=0.5", """'{"a=b": 0.5}'"""),
        ("tokens", "peace", """'{"name": value}'"""),
    ],
)
def test_shows_how_a_mapping_is_written(option, written, shown):
    with pytest.raises(UserError) as told:
        parse(EditOptions, f"--{option}", written)
    assert f"{option}: expected a mapping such as {shown}, got {written.strip()}" in str(
        told.value
    )


@pytest.mark.parametrize("fraction", [1.5, 1.0, -0.1, float("nan")])
def test_a_fraction_out_of_range_is_refused_before_the_model_is_read(fraction):
    options = PruneOptions(data=None, fraction=fraction, untie=True)
    with pytest.raises(ValueError, match="is no share of dimensions to delete; give at least 0"):
        options.check(SimpleNamespace(), Path("new.ckpt"))
