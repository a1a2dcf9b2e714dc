"""What a run has set differently from the recipe that it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from framework.console import recipes
from framework.console.errors import UserError
from framework.console.options import TRANSPARENT, given, loaded, short

MISSING = "—"  # what a recipe does not set


class Origin(NamedTuple):
    """From what a run was made.

    Args:
        name: How its recipe was named.
        path: The file, None if there is none now.
        others: Names of the options that overlays and the command line set.
    """

    name: str
    path: Path | None
    others: Sequence[str]


def origin_of(command: Sequence[str], config: Mapping[str, Any]) -> Origin | None:
    """Finds the recipe of a run.

    Args:
        command: The words that started it; empty if they are not known.
        config: Its complete configuration, whose logger has the name of the recipe.

    Returns:
        The recipe, None if no name is known.
    """
    if not command:
        name = _leaves(config).get("trainer.logger.name")
        return Origin(str(name), _found(str(name)), []) if name else None
    named = [value for name, value in given(command) if name in ("c", "config")]
    if not named:
        return None
    overlays = [path for name in named[1:] if (path := _found(name))]
    others = [key for path in overlays for key in _leaves(loaded(str(path)))]
    others += [short(name) for name, _ in given(command) if name not in ("c", "config")]
    return Origin(named[0], _found(named[0]), others)


def differences(origin: Origin, config: Mapping[str, Any]) -> list[list[str]]:
    """Arranges the options in which a run is not as its recipe says.

    Args:
        origin: Where it came from; its file exists.
        config: The complete configuration of the run.

    Returns:
        Rows of cells, the first of which names the columns: what the recipe sets otherwise, and
            what overlays and the command line set that it does not set. All else is as in the
            recipe, or has its default.
    """
    recipe, run = _leaves(loaded(str(origin.path))), _leaves(config)
    rows = [["option", origin.name, "this run"]]
    for name in dict.fromkeys((*recipe, *origin.others)):
        before, after = recipe.get(name), run.get(name)
        if name not in run or (name in recipe and _same(before, after)):
            continue
        rows.append([name, _written(before) if name in recipe else MISSING, _written(after)])
    return rows


def _found(name: str) -> Path | None:
    try:
        return recipes.find(name)
    except UserError:
        return None


def _leaves(node: Any) -> dict[str, Any]:
    """Returns the options of a recipe by the names that the command line gives them."""
    return {short(".".join(keys)): value for keys, value in _walk(node, ())}


def _walk(node: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not isinstance(node, Mapping) or not node:
        yield keys, node
        return
    for key, value in node.items():
        if value or key not in TRANSPARENT:  # a class without options is but its name
            inner = keys if key == "class_path" else (*keys, str(key).rstrip("+"))
            yield from _walk(value, inner)


def _same(before: Any, after: Any) -> bool:
    """Whether a value means what the recipe says; of what it interpolates, that is assumed."""
    match before, after:
        case Mapping(), Mapping():
            old, new = _leaves(before), _leaves(after)
            return all(name in new and _same(old[name], new[name]) for name in old)
        case list(), list():
            pairs = zip(before, after, strict=False)
            return len(before) == len(after) and all(_same(*pair) for pair in pairs)
        case str(), str():
            name = before.rpartition(".")[2]  # of a class, however much of its path is given
            is_class = name[:1].isupper() and name == after.rpartition(".")[2]
            return before == after or is_class or "${" in before
    try:
        return bool(before == after or float(before) == float(after))
    except (TypeError, ValueError):
        return False


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("...").rstrip()
