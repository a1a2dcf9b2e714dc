"""Where modules of the user are imported from: the working directory, and beside recipes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from framework.console.recipes import FOLDER

_added: list[Path] = []


def added() -> list[Path]:
    """Returns the folders that were added, in the order in which they are searched."""
    return list(_added)


def extend(words: Sequence[str]) -> None:
    """Adds folders to the end of Python's search path, so that they hide nothing installed.

    Args:
        words: The command line. Recipes and checkpoints in it name the folders, besides the
            working directory.
    """
    for folder in (Path.cwd(), *_folders(words)):
        if folder not in _added:
            _added.append(folder)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def _folders(words: Sequence[str]) -> Iterator[Path]:
    """Yields the folders of recipes, and those in which the recipe of a checkpoint may lie."""
    for word in words:
        path = Path(word.partition("=")[2] if word.startswith("-") else word)
        if not path.exists():
            continue
        above = path.resolve().parents
        if path.suffix in (".yaml", ".yml") and FOLDER not in above:
            yield above[0]
        elif path.suffix == ".ckpt":
            yield from above[:2]
