"""Reads each class of a recipe once while a command line is parsed.

jsonargparse reads what a class is given again for each file, for the defaults and for each class
around it: the same tree some twenty times. What it read once, it is given back here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from jsonargparse import Namespace
from jsonargparse._common import parser_context_vars
from jsonargparse._typehints import sub_defaults

MODES = ("lenient_check", "parsing_defaults", "validating_defaults", "load_value_mode")


class Remembered:
    """Calls jsonargparse's `adapt_class_type` once for what is the same.

    What it may change besides its result, options of the class that was chosen before, is left to
    it: such a call is not remembered, nor one that instantiates or writes.

    Args:
        adapt: The function; it takes a value with `class_path`, whether to serialize it, whether
            to instantiate it, and options.
    """

    def __init__(self, adapt: Callable[..., Any]) -> None:
        self._adapt = adapt
        self._results: dict[Hashable, Any] = {}

    def __call__(
        self, value: Any, serialize: bool, instantiate: bool, *args: Any, **options: Any
    ) -> Any:
        """Returns what the function returns, or a copy of what it returned before."""
        key = None if serialize or instantiate else _key(value, args, options)
        if key is None:
            return self._adapt(value, serialize, instantiate, *args, **options)
        if key not in self._results:
            found = self._adapt(value, serialize, instantiate, *args, **options)
            self._results[key] = _copied(found)
            return found
        return _copied(self._results[key])


def _key(value: Any, args: Any, options: dict[str, Any]) -> Hashable:
    """Returns what a result depends on, None where it cannot be remembered."""
    before: Any = options.get("prev_val")
    described = isinstance(before, (Namespace, dict))
    if described and before.get("class_path") != value.get("class_path"):
        return None
    variables: dict[str, Any] = parser_context_vars
    modes = [variables[name].get() for name in MODES]
    try:
        key = _frozen([value, args, options, modes, sub_defaults.get()])
        hash(key)
    except TypeError:  # a value that has no hash, so that it may change
        return None
    return key


def _frozen(value: Any) -> Hashable:
    """Returns a value as tuples; True, 1 and 1.0 differ, as do the orders of keys."""
    if isinstance(value, (Namespace, dict)):
        items = value if isinstance(value, dict) else vars(value)
        return type(value), tuple((key, _frozen(inner)) for key, inner in items.items())
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(_frozen, value))
    if isinstance(value, set):
        return set, frozenset(value)
    return type(value), value


def _copied(value: Any) -> Any:
    """Returns a value whose containers are new."""
    if isinstance(value, Namespace):
        copy: Any = Namespace()  # type: ignore[no-untyped-call]  # jsonargparse's
        vars(copy).update({key: _copied(inner) for key, inner in vars(value).items()})
        return copy
    if isinstance(value, dict):
        return {key: _copied(inner) for key, inner in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(map(_copied, value))
    return value
