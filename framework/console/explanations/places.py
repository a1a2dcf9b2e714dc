"""Finds the file and the line of a key or a value in the recipes of a command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.constructor import SafeConstructor

from framework.console.options import TRANSPARENT, given, short

MERGED = "<<"  # the key of YAML under which a mapping takes over another
CONTAINERS = ("[", "{", "Namespace(")  # how the text of a value starts that is no scalar


Nodes = tuple[yaml.Node, ...]


class Place(NamedTuple):
    """A line of a YAML file."""

    path: str
    line: int

    def __str__(self) -> str:
        """Names it, the file relative to the working directory where it lies below."""
        path = Path(self.path)
        below = path.is_relative_to(Path.cwd())
        return f"{path.relative_to(Path.cwd()) if below else path}, line {self.line}"


def find(words: Sequence[str], keys: Sequence[str], text: str = "") -> Place | None:
    """Finds what is wrong in the recipes, the last one first.

    Args:
        words: Words of the command line, recipes by path.
        keys: Names on the way to the value, without `init_args`; keys of a dictionary and numbers
            of a list may be left out. If there are none, `text` is a key of the file.
        text: A key or a value that stands there or below; "" for any.

    Returns:
        None if a flag gives it, or no recipe.
    """
    wanted = tuple(part for key in keys for part in key.split("."))
    if not wanted:
        wanted, text = (text,), ""
    for name, value in reversed(list(given(words))):
        if name in ("c", "config"):
            place = next(_search(_compose(Path(value)), wanted, text), None)
            if place is not None:
                return place
        elif _gives(short(name).split("."), value, wanted, text):
            return None
    return None


def _gives(option: Sequence[str], value: str, keys: tuple[str, ...], text: str) -> bool:
    shared = min(len(option), len(keys))
    if tuple(option[:shared]) != keys[:shared]:
        return False
    if not text:
        return len(option) <= len(keys)
    return text in option[len(keys) :] or text in value


def _search(
    node: yaml.Node | None, keys: tuple[str, ...], text: str, above: Nodes = ()
) -> Iterator[Place]:
    """Yields the places below a node that match, those on the direct way first."""
    node = _followed(node)
    if node is None or node in above:  # an alias inside itself
        return
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value in (*TRANSPARENT, MERGED):
                yield from _search(value, keys, text, above)
            elif key.value == keys[0]:
                yield from _matches(key, value, keys, text, above)
        inner = [value for key, value in node.value if key.value != keys[0]]
    else:
        inner = node.value if isinstance(node, yaml.SequenceNode) else []
    if len(above) > 1:  # the first key is one of the file itself
        for value in inner:
            yield from _search(value, keys, text, above)


def _matches(
    key: yaml.Node, value: yaml.Node, keys: tuple[str, ...], text: str, above: Nodes
) -> Iterator[Place]:
    """Yields the places in a value whose key is the first of those that are wanted."""
    if len(keys) > 1:
        yield from _search(value, keys[1:], text, above)
    elif not text or _is_scalar(value, text):
        yield _place(key)
    else:
        yield from _below(value, text, above)
        if text.startswith(CONTAINERS) and not isinstance(value, yaml.ScalarNode):
            yield _place(key)


def _below(node: yaml.Node | None, text: str, above: Nodes) -> Iterator[Place]:
    """Yields the places of a key or a scalar below a node."""
    node = _followed(node)
    if node is None or node in above:
        return
    above = (*above, node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if text in (key.value, str(key.value).partition(".")[0]):
                yield _place(key)
            yield from _below(value, text, above)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _below(value, text, above)
    elif _is_scalar(node, text):
        yield _place(node)


def _is_scalar(node: yaml.Node, text: str) -> bool:
    """Whether a node holds a text, a class of that name, or something that is interpolated."""
    if not isinstance(node, yaml.ScalarNode):
        return False
    written = str(node.value)
    try:
        read = str(SafeConstructor().construct_object(node))  # `None` for `null`, `3.0` for `3e0`
    except (yaml.YAMLError, ValueError):
        read = written
    return text in (written, read, written.rpartition(".")[2]) or "${" in written


def _followed(node: yaml.Node | None) -> yaml.Node | None:
    """Returns the contents of the file that a node names, or else the node."""
    if isinstance(node, yaml.ScalarNode) and str(node.value).endswith((".yaml", ".yml")):
        path = Path(node.start_mark.name).parent / str(node.value)
        return _compose(path) if path.is_file() else node
    return node


def _compose(path: Path) -> yaml.Node | None:
    if not path.is_file():
        return None
    with path.open(encoding="utf-8") as file:
        return yaml.compose(file, Loader=yaml.SafeLoader)


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.name, node.start_mark.line + 1)
