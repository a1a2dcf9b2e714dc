"""Writes checkpoints so that one is always whole: beside the earlier one, then in its place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from framework.checksums import ChecksummedFile, seal_folder

TEMPORARY, REPLACED = ".tmp", ".old"  # ends of hidden names


def save(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Writes a checkpoint file with its checksum.

    Args:
        checkpoint: What the file is to hold.
        path: The file. Whatever happens it is whole, what it was or what it shall be.

    Raises:
        OSError: If it cannot be written, because the disk is full for example.
    """
    write(path, partial(torch.save, dict(checkpoint)))


def write(path: Path, fill: Callable[[ChecksummedFile], object]) -> None:
    """Writes a file with its checksum, under another name until it is complete and on the disk.

    Args:
        path: The file.
        fill: Writes the content, a zip file.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_of(path)  # in the same folder: a file system can only rename inside it
    try:
        with temporary.open("wb") as file:
            checksummed = ChecksummedFile(file)
            fill(checksummed)
            checksummed.seal()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)


def complete_folder(temporary: Path, sums: Mapping[str, str], path: Path) -> None:
    """Completes a folder of shards and gives it its name.

    Args:
        temporary: The folder, whose files are on the disk.
        sums: The checksum of each file, by name.
        path: Its name.

    Raises:
        OSError: If it cannot be written.
    """
    seal_folder(temporary, sums)
    for entry in (*temporary.iterdir(), temporary):
        sync(entry)
    replaced = path.with_name(f".{path.name}{REPLACED}")
    remove(replaced)
    if path.exists():  # a folder cannot replace another one at once; `sweep` restores it
        path.rename(replaced)
    temporary.rename(path)
    sync(path.parent)
    remove(replaced)


def link(folder: Path, name: str, target: str) -> None:
    """Lets a name in a folder stand for another one there, at once for whoever looks.

    Args:
        folder: The folder.
        name: The name, which may stand for something else already.
        target: The file or folder that it shall stand for.
    """
    temporary = temporary_of(folder / name)
    remove(temporary)
    try:
        temporary.symlink_to(target)
    except OSError:  # a file system without links
        copy = shutil.copytree if (folder / target).is_dir() else shutil.copy2
        copy(folder / target, temporary)
    if any(path.is_dir() and not path.is_symlink() for path in (temporary, folder / name)):
        remove(folder / name)  # a folder cannot be replaced at once
    os.replace(temporary, folder / name)
    sync(folder)


def sweep(folder: Path) -> None:
    """Removes what an interrupted process has left behind, in a folder that none writes to."""
    for path in folder.glob(f".*{TEMPORARY}"):
        remove(path)
    for path in folder.glob(f".*{REPLACED}"):
        name = folder / path.name[1 : -len(REPLACED)]
        remove(path) if name.exists() else path.rename(name)


def remove(path: Path) -> None:
    """Removes a file, a link or a folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def temporary_of(path: Path) -> Path:
    """Returns the name under which a checkpoint is written."""
    return path.with_name(f".{path.name}{TEMPORARY}")


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
