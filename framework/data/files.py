"""Finds files by path or pattern."""

from __future__ import annotations

from glob import glob
from pathlib import Path

ENCODING = "utf-8-sig"  # UTF-8 with or without a byte-order mark


def matching_files(pattern: str, option: str) -> list[Path]:
    """Lists the files that a path or a pattern names, in the order of their names.

    A path that exists is taken as it is, even if it reads as a pattern, such as `run[1]/a.txt`.

    Args:
        pattern: A path, or a glob pattern in which `**` stands for any folders.
        option: What the user set to it, for the error: class and argument.

    Raises:
        ValueError: If there is no such file.
    """
    if Path(pattern).is_file():
        return [Path(pattern)]
    paths = sorted(Path(path) for path in glob(pattern, recursive=True) if Path(path).is_file())
    if not paths:
        inside = f"is a folder; name its files, such as '{pattern.rstrip('/')}/*.txt'"
        problem = inside if Path(pattern).is_dir() else "matches no file; check the path"
        raise ValueError(f"{option}={pattern!r} {problem}.")
    return paths


def existing_file(path: str | Path, option: str) -> Path:
    """Returns the path of a file.

    Args:
        path: The path.
        option: What the user set to it, for the error: class and argument.

    Raises:
        ValueError: If there is no such file.
    """
    if not Path(path).is_file():
        raise ValueError(f"{option}={str(path)!r} is not a file; check the path.")
    return Path(path)
