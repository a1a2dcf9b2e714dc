"""Names by which classes and functions can be imported, and which of them are.

Importing a module runs its code, so a name is checked before. Python's standard library has no
parts of models, and `os.system` is in it: nobody may name it. What comes with a checkpoint, its
hyper-parameters and the recipe beside it, may name installed packages of parts only; recipes that
the user names, any module that Python finds.
"""

from __future__ import annotations

import os
import pydoc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, metadata
from typing import Any

LIBRARIES = ("components", "framework", "lightning", "torch", "torchmetrics")
GROUP = "overtone.components"  # the entry point of packages with parts
UNTRUSTED = "is not imported for a checkpoint"
STANDARD = "is of Python's standard library"
TRUST = "OVERTONE_TRUST"  # the environment variable that `--trust` sets, for child processes, too

_foreign = [False]  # whether what is named now comes with a checkpoint, the innermost last


class Refused(ImportError, ValueError):
    """A module must not be imported; of both kinds, so that jsonargparse reports its sentence."""


def import_path(factory: Any) -> str:
    """Names a class or function by the shortest public name that it has.

    Raises:
        ValueError: If it has no importable name (a lambda, a local function).
    """
    module, name = str(factory.__module__), str(factory.__qualname__)
    if "<" in name:  # <lambda>, <locals>
        raise ValueError(
            f"The factory {module}.{name} cannot be written into a checkpoint, which holds names; "
            "use a class that can be imported, with its options in "
            "functools.partial(Class, option=value)."
        )
    parts = module.split(".")
    faces = (".".join(parts[:count]) for count in range(1, len(parts)))
    public = (face for face in faces if getattr(import_module(face), name, None) is factory)
    return f"{next(public, module)}.{name}"


def imported(path: str) -> Any:
    """Imports the class or function that `import_path` named in a checkpoint.

    Raises:
        ValueError: If it cannot be imported, or must not be.
    """
    module, _, name = path.rpartition(".")
    with foreign():
        check(path)
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"The class {path} cannot be imported ({error}); install what defines it, or run "
            "where it can be found."
        ) from error


def located(path: str) -> Any:
    """Returns what a path names; None if there is no such thing, or it must not be imported."""
    return None if refusal(path) else pydoc.locate(path)


@contextmanager
def foreign(comes_with_a_checkpoint: bool = True) -> Iterator[None]:
    """Lets names inside a `with` statement be those that come with a checkpoint, or not."""
    _foreign.append(comes_with_a_checkpoint)
    try:
        yield
    finally:
        _foreign.pop()


def restricted() -> bool:
    """Whether names are those that come with a checkpoint, which the user does not trust."""
    return _foreign[-1] and not trusted()


def trusted() -> bool:
    """Whether the user trusts the checkpoints that this process reads."""
    return os.environ.get(TRUST) == "1"


def check(path: str) -> None:
    """Checks that a module may be imported, before it is.

    Args:
        path: The name of something in it.

    Raises:
        Refused: If it may not.
    """
    if said := refusal(path):
        raise Refused(said)


def refusal(path: str) -> str:
    """Says why the module of a path must not be imported, "" if it may be."""
    module, package = path.rpartition(".")[0], path.partition(".")[0]
    if package in sys.stdlib_module_names:
        return (
            f"{path} {STANDARD}, which has no parts of models and is never imported for a recipe "
            "or a checkpoint; choose from another package."
        )
    if not restricted() or package in packages() or module in sys.modules:
        return ""
    return (
        f"{path} {UNTRUSTED} or the recipe beside it: the code of {package} may have come with "
        f"them; read it, then give --trust (in Python, set {TRUST}=1)."
    )


@cache
def packages() -> frozenset[str]:
    """Returns the packages that a checkpoint may name: ours, and what is installed with parts."""
    points = metadata.entry_points(group=GROUP)
    return frozenset({*LIBRARIES, *(point.module.partition(".")[0] for point in points)})
