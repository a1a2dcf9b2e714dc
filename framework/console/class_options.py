"""Corrects how jsonargparse reads the options of classes, while a command line is parsed.

Without this, the options of a class that is replaced stay wherever the new class has some of the
same name, and a value such as `null` or `007` for an option of a class inside another becomes the
text of what YAML makes of it, "None" or "7". Each class is read once, not at every mention, and
checked before it is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, isclass
from typing import Any, NamedTuple

from jsonargparse import _typehints as typehints
from jsonargparse._util import NestedArg, import_object, parse_value_or_config

from framework.class_checks import checked
from framework.console import lookups
from framework.console.remembered import Remembered
from framework.replacing import replaced
from framework.signatures import parameters

CONTAINERS = (dict, list)  # which are handed on as they were parsed


@contextmanager
def corrected() -> Iterator[None]:
    """Corrects jsonargparse inside a `with` statement."""
    scalars = Scalars(Remembered(ADAPT))
    changed: tuple[tuple[Any, str, Any], ...] = (
        (typehints, "discard_init_args_on_class_path_change", _discard),
        (typehints, "parse_value_or_config", scalars.parse),
        (typehints, "adapt_class_type", scalars.adapt),
    )
    with checked(), replaced(*changed), lookups.once():
        yield


class Scalars:
    """Hands the value of an option of a class on as it was written, to be parsed with its type."""

    def __init__(self, adapt: Callable[..., Any]) -> None:
        self._adapt = adapt
        self._parsed: Any = None
        self._written: str | None = None

    def parse(self, value: Any, *args: Any, **options: Any) -> Any:
        """Parses a value, and remembers what was written."""
        parsed, path = PARSE(value, *args, **options)
        if isinstance(value, NestedArg):
            plain = isinstance(value.val, str) and not isinstance(parsed.val, CONTAINERS)
            self._parsed, self._written = parsed.val, value.val if plain else None
        return parsed, path

    def adapt(self, value: Any, *args: Any, **options: Any) -> Any:
        """Sets an option of a class to what was written."""
        nested: Any = value.get("init_args") if hasattr(value, "get") else None
        plain = isinstance(nested, NestedArg) and self._written is not None
        if plain and nested.val is self._parsed:
            value["init_args"] = nested._replace(val=self._written)
        return self._adapt(value, *args, **options)


def _discard(parser: Any, previous: Any, value: Any) -> None:
    """Drops the options of a replaced class.

    Two kinds stay: those that both classes take from the same base, as modules of one kind do, and
    numbers that both require: sizes, such as the width of a backbone.
    """
    if previous and "init_args" in previous and previous["class_path"] != value["class_path"]:
        before, after = (_options(spec["class_path"]) for spec in (previous, value))
        options = previous["init_args"]
        for name in list(options if isinstance(options, dict) else vars(options)):
            if not _stays(before.get(name), after.get(name)):
                options.pop(name)
    DISCARD(parser, previous, value)


class Option(NamedTuple):
    """An option of a class."""

    owner: Any  # the class that declares it: the class itself, or one of its bases
    type: Any
    required: bool


def _options(path: str) -> dict[str, Option]:
    """Returns the options of a class by name; none for a function."""
    found = import_object(path)
    signature = parameters(found, "__init__") if isclass(found) else []
    empty = Parameter.empty
    return {
        x.name: Option(_declaring(x.parent), x.annotation, x.default is empty) for x in signature
    }


def _declaring(kind: Any) -> Any:
    """Returns the class that a constructor stands in, which another one may inherit."""
    bases = kind.__mro__ if isclass(kind) else ()
    return next((base for base in bases if "__init__" in vars(base)), kind)


def _stays(before: Option | None, after: Option | None) -> bool:
    if before is None or after is None:
        return False
    return before == after or (_is_size(before) and _is_size(after))


def _is_size(option: Option) -> bool:
    return option.required and option.type in (int, float)


PARSE: Any = parse_value_or_config
ADAPT: Any = typehints.adapt_class_type
DISCARD: Any = typehints.discard_init_args_on_class_path_change
