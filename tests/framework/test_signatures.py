"""What is remembered of a class is what jsonargparse reads, and cannot be changed by a reader."""

import pytest
from jsonargparse._parameter_resolvers import get_signature_parameters

import components
import framework
from framework.signatures import parameters

CLASSES = [
    found
    for face in (components, framework)
    for name in dir(face)
    if isinstance(found := getattr(face, name), type)
]


@pytest.mark.parametrize("time", ["first", "again"])
def test_remembered_is_what_jsonargparse_reads(time):
    assert len(CLASSES) > 80
    for found in CLASSES:
        assert parameters(found, "__init__") == get_signature_parameters(found, "__init__")


def test_a_function_is_read_too():
    assert parameters(len_of) == get_signature_parameters(len_of)


def test_what_a_reader_changes_is_not_remembered():
    first = parameters(Held)
    first[0].default["a"] = 2
    first[0].name = "other"
    first.clear()
    [again] = parameters(Held)
    assert (again.name, again.default) == ("options", {"a": 1})


def len_of(text: str, scale: float = 1.0) -> float:
    return scale * len(text)


class Held:
    def __init__(self, options: dict = {"a": 1}) -> None:  # noqa: B006
        self.options = options
