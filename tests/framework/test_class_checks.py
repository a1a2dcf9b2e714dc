"""Class paths in values are checked before they are imported, and again before they are called."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentError, ArgumentParser
from torch.optim import Optimizer

from components import Head
from components.interfaces import HeadFactory
from framework.class_checks import checked
from framework.importing import foreign
from tests.framework.modules import fakes

SLOTS = {
    "protocol": HeadFactory,
    "callable": Callable[[Iterable], Optimizer],
    "instance": Head,
    "optional": Head | None,
    "list": list[Head],
    "dictionary": dict[str, HeadFactory],
    "type": type[Head],
    "function": Callable | None,
}


def parsed(slot: Any, value: Any) -> Any:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--slot", type=slot)
    with checked():
        return parser.instantiate_classes(parser.parse_object({"slot": value})).slot


def nested(name: str, value: Any) -> Any:
    return {"list": [value], "dictionary": {"a": value}}.get(name, value)


def described(path: str, **options: object) -> dict:
    return {"class_path": path, "init_args": options}


def own_head(dim: int, support: Any) -> fakes.FakeHead:
    return fakes.FakeHead(dim, support)


def unannotated(dim: int, support: Any):  # returns what it does not say
    raise AssertionError("called")


@pytest.mark.parametrize("name", SLOTS)
@pytest.mark.parametrize("path", ["os.system", "subprocess.call", "builtins.eval", "pathlib.Path"])
def test_no_slot_holds_the_standard_library(name, path):
    forms = (path, described(path), described(path, command="true"))
    for value in forms[:1] if name == "type" else forms:
        with pytest.raises(ArgumentError, match="standard library"):
            parsed(SLOTS[name], nested(name, value))


@pytest.mark.parametrize("name", [name for name in SLOTS if name != "type"])
def test_no_slot_calls_a_function_of_another_type(name, tmp_path):
    saving = described("torch.save", obj=1, f=str(tmp_path / "marker"))
    with pytest.raises(ArgumentError):
        parsed(SLOTS[name], nested(name, saving))
    assert not (tmp_path / "marker").exists()


def test_an_option_without_a_type_builds_nothing(tmp_path):
    saving = described("torch.save", obj=1, f=str(tmp_path / "marker"))
    assert parsed(Any, saving) == saving or vars(parsed(Any, saving))
    assert not (tmp_path / "marker").exists()


def test_an_import_of_a_module_does_not_hide_what_it_imports():
    with pytest.raises(ArgumentError, match=r"(posixpath|genericpath|os)\S* is of Python's"):
        parsed(HeadFactory, described("tests.framework.modules.fakes.os.getcwd"))


@pytest.mark.parametrize("path", ["FakeHead", "tests.framework.modules.fakes.FakeHead"])
def test_a_class_of_the_slot_passes(path):
    made = parsed(HeadFactory, described(path, floor=0.25))(dim=4, support=None)
    assert isinstance(made, fakes.FakeHead)
    assert made.floor == 0.25


def test_a_function_passes_by_its_return_type():
    here = f"{__name__}."
    assert parsed(HeadFactory, f"{here}own_head")(dim=4, support=None).floor == 0.1
    for value in (f"{here}unannotated", described(f"{here}unannotated", dim=1, support=None)):
        with pytest.raises(ArgumentError):
            parsed(HeadFactory, value)


def test_with_a_checkpoint_no_objects_are_made_to_be_called():
    """A layer of torch can be called, as any function that a callback of Lightning takes."""
    linear = described("torch.nn.Linear", in_features=1, out_features=1)
    assert isinstance(parsed(Callable, linear), torch.nn.Linear)
    with foreign(), pytest.raises(ArgumentError):
        parsed(Callable, linear)
