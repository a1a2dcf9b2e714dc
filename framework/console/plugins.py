"""Components of installed packages: modules under the entry point `overtone.components`.

In the `pyproject.toml` of such a package:

    [project.entry-points."overtone.components"]
    wavelets = "wavelets.heads"

The classes in `__all__` of that module have short names on the command line, as ours have.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import metadata
from types import ModuleType

from framework.console.errors import UserError
from framework.importing import GROUP, packages


def load(ours: Iterable[ModuleType]) -> None:
    """Imports the modules of all installed packages that have some.

    Args:
        ours: The modules whose short names are taken.

    Raises:
        UserError: If a module cannot be imported, or a short name is taken.
    """
    packages()  # is remembered: before folders of the user, which could pose as such a package
    owners = {name: "overtone" for module in ours for name in getattr(module, "__all__", ())}
    for point in sorted(metadata.entry_points(group=GROUP)):
        package = point.dist.name if point.dist is not None else point.module
        for name in _class_names(point, package):
            if owners.setdefault(name, package) != package:
                raise UserError(
                    f"The package {package} has a class {name}, as {owners[name]} has, so that "
                    f"the name is ambiguous; {_remedy(package)}."
                )


def _class_names(point: metadata.EntryPoint, package: str) -> list[str]:
    try:
        module = point.load()
        return [name for name in module.__all__ if inspect.isclass(getattr(module, name))]
    except (Exception, SystemExit) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(
            f"The package {package} offers components in {point.value}, which cannot be imported "
            f"({said}); {_remedy(package)}."
        ) from error


def _remedy(package: str) -> str:
    return f"install another version of it, or run `pip uninstall {package}`"
