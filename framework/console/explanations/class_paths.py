"""Sentences on classes that are named by their path but cannot be imported, such as `my.Head`."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from framework.console import import_path, options
from framework.importing import refusal

DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def broken(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yields the options whose class is in a file of the user that cannot be imported.

    Args:
        words: Words of the command line, recipes by path.

    Yields:
        The name of the option, its value, and what is wrong with file and line.
    """
    for name, path in options.choices_of(words):
        module = path.rpartition(".")[0]
        own = DOTTED.fullmatch(path) and not refusal(path) and _is_of_the_user(module)
        if own and (fault := _import_fault(module)):
            yield name, path, fault


def no_module(module: str) -> str:
    """Says that a module cannot be found, and where it was looked for.

    Args:
        module: Its name.
    """
    files = {path.stem for folder in import_path.searched() for path in folder.glob("*.py")}
    close = get_close_matches(module, sorted(files), n=1)
    places = " and ".join(map(_named, import_path.searched()))
    hint = f"did you mean {close[0]}?" if close else "write it there, or install what has it."
    return f"there is no module '{module}' in {places}, nor is one installed; {hint}"


def no_attribute(module: str, name: str) -> str:
    """Says that a module has no such class, and which was meant.

    Args:
        module: Its name.
        name: The name of the class.
    """
    if said := hidden(module):
        return said
    found = import_module(module)
    held = vars(found)
    classes = [key for key, value in held.items() if isinstance(value, type) and key[0] != "_"]
    close = get_close_matches(name, classes, n=2)
    defined = [key for key in classes if held[key].__module__ == module]
    hint = (
        f"did you mean {' or '.join(close)}?"
        if close
        else f"it has {', '.join(defined) or 'none'}"
    )
    return f"{module} has no class '{name}'; {hint}"


def hidden(module: str) -> str:
    """Says that a module of the user is hidden by one of Python or of a package, or returns "".

    Args:
        module: Its name.
    """
    spec = find_spec(module.partition(".")[0])
    found = spec.origin if spec is not None else None
    for folder in import_path.searched():
        own = folder / f"{module}.py"
        if own.is_file() and found is not None and Path(found) != own:
            return f"{module} is {found}, which hides {_named(own)}; rename the latter"
    return ""


def _is_of_the_user(module: str) -> bool:
    """Whether a module is found in the folders that were added for the user."""
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return False
    origin = spec.origin if spec is not None else None
    return origin is not None and any(
        Path(origin).is_relative_to(f) for f in import_path.searched()
    )


def _import_fault(module: str) -> str:
    """Imports a module; returns the file, the line and the message of its error, or ""."""
    try:
        import_module(module)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            return ""  # the caller knows more
        return _where(error)
    return ""


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    folders = import_path.searched()
    own = [frame for frame in frames if any(map(Path(frame.filename).is_relative_to, folders))]
    path, line = (own[-1].filename, own[-1].lineno) if own else ("", None)
    message = str(error)
    if isinstance(error, SyntaxError) and error.filename:
        path, line, message = error.filename, error.lineno, error.msg
    said = " ".join(f"{type(error).__name__}: {message}".split())
    return f"{_named(Path(path))}, line {line}: {said}" if path else said


def _named(path: Path) -> str:
    if path == Path.cwd():
        return "the working directory"
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
