"""Files that a verb writes: checked before hours are spent on their content; tables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.console.errors import UserError

TABLES = (".parquet", ".csv")


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


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Names a file, or a folder, that cannot be written, as on a full disk.

    Args:
        path: What is written inside the `with` statement.

    Raises:
        UserError: In place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} could not be written ({error.strerror or error}); make room for it, or "
            "choose another place."
        ) from error


def require_writable(folder: Path) -> None:
    """Checks that files can be written into a folder, or that it can be made.

    Raises:
        UserError: If not.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK):
        raise UserError(
            f"{there} cannot be written to; give another folder as --trainer.default_root_dir, or "
            "make it writable."
        )


def write_table(frame: Any, path: Path) -> None:
    """Writes a data frame to a Parquet or CSV file, whose suffix is one of `TABLES`."""
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path, index=False)
