"""Verbs of the command line besides those of Lightning.

A verb is a file in a folder `verbs` of any room: its name is the verb (with `_` behind it
where Python has that word already), its first sentence is the help, and its function
`run(words, program)` runs it. None is imported before it is called.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

Run = Callable[[list[str], str], None]
"""Runs a verb with the words behind it, under the name of the program."""


def names() -> list[str]:
    """Returns all verbs, sorted."""
    return sorted(_files())


def sentences() -> dict[str, str]:
    """Returns the first sentence of each verb, by its name; reads the files and runs none."""
    return {name: _sentence(path) for name, path in sorted(_files().items())}


def load(name: str) -> Run:
    """Returns what runs a verb.

    Args:
        name: One of `names()`.
    """
    module = ".".join(_files()[name].relative_to(ROOT).with_suffix("").parts)
    run: Run = import_module(module).run
    return run


def _files() -> dict[str, Path]:
    found = sorted((ROOT / "framework").glob("**/verbs/*.py"))
    return {path.stem.removesuffix("_"): path for path in found if path.stem != "__init__"}


def _sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())
