"""Checks files that a verb is to write, before hours are spent on their content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from framework.console.errors import UserError


def require_new(path: Path, suffixes: Sequence[str] = ()) -> None:
    """Checks that a file can be written; folders that are missing are made.

    Args:
        path: The file.
        suffixes: Those that it may have; any if not given.

    Raises:
        UserError: If it has another suffix, exists, or its folder cannot be written to.
    """
    if suffixes and path.suffix not in suffixes:
        raise UserError(f"{path} must end in {' or '.join(suffixes)}; rename it.")
    if path.exists():
        raise UserError(f"{path} exists already; choose another name, or remove it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("x").close()
        path.unlink()
    except OSError as error:
        raise UserError(
            f"{path} cannot be written there ({error.strerror}); choose another folder."
        ) from error
