"""Options of a replaced class go with it, and a value is what was written, however deep."""

from abc import ABC

import pytest
from jsonargparse import _parameter_resolvers, _signatures, _typehints, _util

from framework.console import class_options
from framework.console.options import classes
from framework.console.parsing import VerbParser


class Inner:
    def __init__(self, name: str | None = "x", number: int | None = 3, flag: bool = False) -> None:
        self.name = name


class Source(ABC):  # noqa: B024  # a kind of classes, as in the library
    def __init__(self, seed: int = 0) -> None:
        self.seed = seed


class First(Source):
    def __init__(
        self, width: int, path: str, frequency: str = "M", inner: Inner | None = None, **more: int
    ) -> None:
        super().__init__(**more)


class Second(Source):
    def __init__(
        self, width: int, path: str, frequency: str | None = None, limit: int = 5, **more: int
    ) -> None:
        super().__init__(**more)


class Derived(First):
    def __init__(self, extra: int = 1, **more: int) -> None:
        super().__init__(**more)


class Inheriting(First):
    """Declares no options."""


class Data:
    def __init__(self, source: Source) -> None:
        self.source = source


def parse(*words):
    parser = VerbParser(prog="verb")
    parser.add_argument("--data", type=Data)
    return parser.parse(["--data", "Data", *words]).data.init_args.source


FIRST = ("--data.source=First", "--data.source.width=8", "--data.source.path=a")
SET = ("--data.source.frequency=Q", "--data.source.seed=7")


def test_a_class_that_no_module_holds_is_no_choice():
    sharded = type("Sharded", (Derived,), {})  # as FSDP2 makes them
    assert sharded in Derived.__subclasses__()
    assert set(classes(Source)) == {Source, First, Second, Derived, Inheriting}


def test_options_of_a_replaced_class_go_with_it():
    source = parse(*FIRST, *SET, "--data.source=Second", "--data.source.path=b")
    found = source.init_args.as_dict()
    assert found == {"width": 8, "path": "b", "frequency": None, "limit": 5, "seed": 7}


def test_a_constructor_that_is_inherited_is_the_same():
    found = parse(*FIRST, *SET, "--data.source=Inheriting").init_args.as_dict()
    assert (found["frequency"], found["path"], found["seed"]) == ("Q", "a", 7)
    assert parse(*FIRST, "--data.source=Inheriting", *SET, "--data.source=First").init_args == (
        parse(*FIRST, *SET).init_args
    )


def test_options_of_a_common_base_stay():
    found = parse(*FIRST, *SET, "--data.source=Derived").init_args.as_dict()
    assert found["frequency"] == "Q"
    assert (found["path"], found["seed"], found["extra"]) == ("a", 7, 1)


def test_the_same_class_again_keeps_its_options():
    assert parse(*FIRST, *SET, "--data.source=First").init_args.frequency == "Q"


def test_a_recipe_replaces_as_a_flag_does(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("data: {init_args: {source: {class_path: Second, init_args: {path: b}}}}")
    parser = VerbParser(prog="verb")
    parser.add_argument("--config", action="config")
    parser.add_argument("--data", type=Data)
    parsed = parser.parse(["--data=Data", *FIRST, *SET, f"--config={overlay}"])
    found = parsed.data.init_args.source.init_args.as_dict()
    assert found == {"width": 8, "path": "b", "frequency": None, "limit": 5, "seed": 7}


@pytest.mark.parametrize(
    ("option", "written", "expected"),
    [
        ("name", "null", None),
        ("name", "~", None),
        ("name", "None", "None"),
        ("name", "007", "007"),
        ("name", "on", "on"),
        ("name", "2024-01-01", "2024-01-01"),
        ("number", "null", None),
        ("number", "12", 12),
        ("flag", "true", True),
    ],
)
def test_a_value_is_what_was_written_two_classes_deep(option, written, expected):
    inner = ("--data.source.inner=Inner", f"--data.source.inner.{option}={written}")
    assert parse(*FIRST, *inner).init_args.inner.init_args[option] == expected


def test_one_class_deep_too():
    assert parse(*FIRST, "--data.source.frequency=007").init_args.frequency == "007"
    assert parse(*FIRST, "--data.source=Second", "--data.source.path=a").init_args.limit == 5


def test_jsonargparse_is_as_it_was_afterwards():
    modules = (_parameter_resolvers, _signatures, _typehints, _util)
    before = [vars(module).copy() for module in modules]
    with pytest.raises(RuntimeError), class_options.corrected():
        raise RuntimeError
    assert [vars(module) for module in modules] == before
