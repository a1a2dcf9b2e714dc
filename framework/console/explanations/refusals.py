"""Finds the line of the recipe whose value a constructor or a part of the model refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

from framework.console.errors import UserError, innermost, user_message
from framework.console.explanations import places
from framework.importing import located

CONSTRUCTORS = ("__init__", "__post_init__")


class Chosen(NamedTuple):
    """A class that the recipe chooses, and its options."""

    keys: tuple[str, ...]
    made: Any
    options: Mapping[str, Any]


@contextmanager
def placed(
    config: Mapping[str, Any], fixed: Mapping[str, type], words: Sequence[str]
) -> Iterator[None]:
    """Puts file and line before the sentence of an error of the user that an option caused.

    Args:
        config: The options of the verb.
        fixed: Classes that `config` does not name, by the option that holds their options.
        words: Words of the command line, recipes by path.

    Raises:
        UserError: In place of an error that an option of a recipe caused.
    """
    try:
        yield
    except Exception as error:
        message = user_message(error)
        place = _place(error, message, [*_chosen(config, fixed)], words) if message else None
        if place is None:
            raise
        raise UserError(f"{place}: {message}") from error


def _place(
    error: Exception, message: str, chosen: Sequence[Chosen], words: Sequence[str]
) -> places.Place | None:
    for name, owner in reversed([*_owners(innermost(error).__traceback__)]):
        same = [part for part in chosen if part.made is owner]
        for part in same:
            for option in _mentioned(message, part.options):
                if place := places.find(words, (*part.keys, option)):
                    return place
        if same and name in CONSTRUCTORS and not _mentioned(message, same[0].options):
            return places.find(words, same[0].keys, owner.__name__)
    return None


def _owners(trace: TracebackType | None) -> Iterator[tuple[str, type]]:
    """Yields the methods of a traceback and the classes of their objects, the outermost first."""
    while trace is not None:
        frame = trace.tb_frame
        if "self" in frame.f_locals:
            yield frame.f_code.co_name, type(frame.f_locals["self"])
        trace = trace.tb_next


def _mentioned(message: str, options: Mapping[str, Any]) -> list[str]:
    """Returns the options that a sentence names as `name=value`, in its order, or by value."""
    named = [name for name in re.findall(r"\b(\w+)=", message) if name in options]
    ends = [name for name, value in options.items() if message.endswith(f": {value}")]
    return named or ends


def _chosen(config: Mapping[str, Any], fixed: Mapping[str, type]) -> Iterator[Chosen]:
    for name, made in fixed.items():
        yield Chosen((name,), made, config.get(name) or {})
    yield from _below((), config)


def _below(keys: tuple[str, ...], value: Any) -> Iterator[Chosen]:
    if isinstance(value, Mapping) and "class_path" in value:
        options = value.get("init_args") or {}
        yield Chosen(keys, located(str(value["class_path"])), options)
        yield from _below(keys, options)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below((*keys, str(key)), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _below(keys, inner)
