"""The reference: a page for each package whose names the two public faces give."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

import components
import framework

OTHERS = "parts"  # of `components`: what stands in no package of its own
FIRST = {
    "components": "Models in pure PyTorch: `from components import FourierHead`.",
    "framework": "Training on Lightning: `from framework import Forecaster`.",
}


def pages() -> dict[str, str]:
    """Returns the pages of the reference in Markdown, by their addresses."""
    faces = {"components": _of_components(), "framework": _of_framework()}
    return {
        f"reference/{face}/{package}.md": _page(face, package, names)
        for face, packages in faces.items()
        for package, names in packages.items()
    }


def _of_components() -> Mapping[str, Sequence[str]]:
    """Returns the names of the face by the package that defines them."""
    found: dict[str, list[str]] = {}
    for name in components.__all__:
        _, package, *inner = getattr(components, name).__module__.split(".")
        found.setdefault(package if inner else OTHERS, []).append(f"components.{name}")
    return {package: found[package] for package in sorted(found)}


def _of_framework() -> Mapping[str, Sequence[str]]:
    return {
        face: [f"framework.{face}.{name}" for name in _public(face)] for face in framework.FACES
    }


def _public(face: str) -> list[str]:
    """Reads the names that a package offers, without an import that takes seconds."""
    source = Path(framework.__file__).with_name(face) / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise LookupError(f"{source} has no __all__.")


def _page(face: str, package: str, names: Sequence[str]) -> str:
    title = f"# {face}: {package}\n\n{FIRST[face]}\n"
    return "\n".join([title, *(f"::: {name}\n" for name in names)])
