"""Reads the error messages of jsonargparse: a tree with one reason for each type of a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

GIVEN_CLASS = r"Got value: Namespace\((?:init_args=.*, )?class_path='([^']+)'"
UNINFORMATIVE = (
    "Expected a <class 'NoneType'>",
    "Expected a path but",
    "Does not validate",
    "Subtypes:",
    "Errors:",
    "Given value",
    "Subclass types expect one of:",
    "a class path (str)",
    "a dict with",
)


class Rejection(NamedTuple):
    """One reason why a value was rejected."""

    keys: tuple[str, ...]  # path to the value, from the top of the configuration
    owner: str  # import path of the innermost class on that path, "" at the top
    reason: str


def read(message: str) -> Iterator[Rejection]:
    """Yields the leaves of a message.

    Args:
        message: A tree in which indentation is the path to a value.
    """
    keys: list[tuple[int, str]] = []
    owners: list[tuple[int, str]] = []
    for line in filter(str.strip, message.splitlines()):
        text = line.lstrip(" -")
        depth = len(line) - len(line.lstrip(" "))
        keys = [pair for pair in keys if pair[0] < depth]
        owners = [pair for pair in owners if pair[0] < depth]
        owners += [(depth, path) for path in re.findall(r"given class_path '([^']+)'", text)]
        keys += [(depth, key) for key in re.findall(r'Parser key "([^"]+)":', text)]
        text = re.sub(r".*(given class_path '[^']+'|Parser key \"[^\"]+\"):\s*", "", text)
        text = re.sub(r"^Type .* expects a function or a callable class:\s*", "", text)
        if text and not text.startswith(UNINFORMATIVE):
            inner = re.search(GIVEN_CLASS, line)
            owner = inner[1] if inner else owners[-1][1] if owners else ""
            yield Rejection(tuple(key for _, key in keys), owner, text)
