"""Names by which classes and functions can be imported, as the command line writes them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


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
    """Imports the class or function that `import_path` named.

    Raises:
        ValueError: If it cannot be imported.
    """
    module, _, name = path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"The class {path} cannot be imported ({error}); install what defines it, or run "
            "where it can be found."
        ) from error
