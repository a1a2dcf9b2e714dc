"""Where modules of the user are imported from: the working directory, and beside recipes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from framework.console.recipes import FOLDER
from framework.importing import restricted, trusted

NOTE = "module_folders"  # where a checkpoint notes the folders of the modules that it needs

_searched: list[Path] = []  # by this process, for modules of the user


def searched() -> list[Path]:
    """Returns the folders of the user, in the order in which they are searched."""
    return list(_searched)


def extend(words: Sequence[str]) -> None:
    """Adds folders to the end of Python's search path, so that they hide nothing installed.

    Args:
        words: The command line. Recipes in it name their folders, and checkpoints that the user
            trusts those that the modules of their run were in and that of their recipe, besides
            the working directory; a checkpoint alone that is not trusted names none.
    """
    if restricted():
        return
    for folder in (Path.cwd(), *_folders(words)):
        if folder not in _searched:
            _searched.append(folder)
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def used() -> list[str]:
    """Returns the folders of the user that modules were imported from."""
    found = {_folder(module) for name, module in list(sys.modules.items()) if "." not in name}
    return [str(folder) for folder in _searched if str(folder) in found]


def _folders(words: Sequence[str]) -> Iterator[Path]:
    for word in words:
        path = Path(word.partition("=")[2] if word.startswith("-") else word)
        if path.suffix in (".yaml", ".yml") and path.is_file():
            folder = path.resolve().parent
            if not folder.is_relative_to(FOLDER):  # there are no modules beside shipped recipes
                yield folder
        elif path.suffix == ".ckpt" and path.exists() and trusted():
            yield from filter(Path.is_dir, map(Path, _noted(path)))
            yield from _folder_of_recipe(path)


def _noted(checkpoint: Path) -> Sequence[str]:
    """Returns the folders that a checkpoint notes, none if it cannot be read."""
    import components.data  # noqa: F401 # whose specs checkpoints hold
    from framework.checkpoints import read  # imports torch

    try:
        noted: Sequence[str] = read(checkpoint).get(NOTE, ())
    except ValueError:  # which the verb reports
        return ()
    return noted


def _folder_of_recipe(checkpoint: Path) -> Iterator[Path]:
    from framework.checkpoints import recipe_of

    with suppress(ValueError):  # it has none, or the verb reports what is wrong with it
        yield recipe_of(str(checkpoint)).resolve().parent


def _folder(module: object) -> str:
    """Returns the folder from which a module or a package was imported, "" if there is none."""
    file = getattr(module, "__file__", None)
    if not file:
        return ""
    path = Path(file)
    return str(path.parent.parent if path.stem == "__init__" else path.parent)
