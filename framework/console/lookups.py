"""Looks up each option of a parser, and the path of each class, once while a command line is read.

jsonargparse searches all options for each key of each file and of each class in it, and imports
every package above a class to find its shortest path: some ten thousand times in a command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from jsonargparse import _core, _subcommands, _typehints, _util, typing

from framework.replacing import replaced

FIND: Any = _subcommands.find_action_and_subcommand
PATH: Any = _util.get_import_path
FINDERS = (_core, _subcommands)  # modules that call the first by that name
NAMERS = (_typehints, _util, typing)  # and the second


@contextmanager
def once() -> Iterator[None]:
    """Remembers what is found inside a `with` statement, to its end."""
    find, name = _finder(), _namer()
    options = [(owner, "find_action_and_subcommand", find) for owner in FINDERS]
    paths = [(owner, "get_import_path", name) for owner in NAMERS]
    with replaced(*options, *paths):
        yield


def _finder() -> Callable[..., Any]:
    """Remembers by parser, number of its options, and key; options are only ever added."""
    known = cache(lambda parser, _, key, exclude: FIND(parser, key, exclude=exclude))

    def find(parser: Any, dest: str, exclude: Any = None) -> Any:
        return known(parser, len(parser._actions), dest, exclude)

    return find


def _namer() -> Callable[[Any], Any]:
    """Remembers by class; what is no class, of which there may be equal ones, is looked up."""
    known = cache(PATH)
    return lambda value: known(value) if isinstance(value, type) else PATH(value)
