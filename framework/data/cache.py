"""Keeps what data modules prepare, in a directory keyed by the content it was made from.

An entry is built in a temporary directory and renamed when it is complete, so readers never see
half of one. Processes that need the same entry at the same time wait for the first. The root is
`$OVERTONE_CACHE`, or `~/.cache/overtone`.

An entry lists its files with size, time and sha256. Files as old and as large as the list says are
trusted; others are hashed, and if the content is what it was, the list learns their time. Damage
that leaves the time as it was, by a failing disk, is found where `OVERTONE_VERIFY=1` has every
entry hashed when it is opened.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

FORMAT = 2  # part of every key: increase it when the meaning of stored files changes
MANIFEST = "manifest.json"
UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)  # the last: a read-only file system
VERIFY = "OVERTONE_VERIFY"  # the environment variable that has all content hashed

logger = logging.getLogger(__name__)


def cached(kind: str, key: Mapping[str, object], build: Callable[[Path], None]) -> Path:
    """Returns the directory that `build` filled for this key; calls it only if there is none.

    An entry that was damaged (files missing, cut or overwritten) is built again.

    Args:
        kind: Kind of entry, a folder in the cache.
        key: Everything the content depends on, as plain values: fingerprints of inputs, options.
        build: Fills an empty directory.

    Returns:
        The directory of the complete entry.

    Raises:
        ValueError: If the cache cannot be written.
    """
    text = json.dumps({"format": FORMAT, **key}, sort_keys=True)
    entry = root() / kind / hashlib.sha256(text.encode()).hexdigest()[:32]
    if _intact(entry):
        return entry
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(entry.with_suffix(".lock")):
            if not _intact(entry):
                _rebuild(entry, build)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise ValueError(
            f"The cache {root()} cannot be written ({error.strerror}); "
            "set the environment variable OVERTONE_CACHE to a directory that can."
        ) from error
    return entry


def root() -> Path:
    """Returns the directory of the cache; it need not exist."""
    return Path(os.environ.get("OVERTONE_CACHE") or "~/.cache/overtone").expanduser()


def fingerprint(*contents: Path | str | bytes) -> str:
    """Digests files (by content, not by name) and texts in their order, for use in a key."""
    digest = hashlib.sha256()
    for content in contents:
        digest.update(_digest(content))
    return digest.hexdigest()


def _digest(content: Path | str | bytes) -> bytes:
    match content:
        case Path():
            with content.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest()
        case str():
            return hashlib.sha256(content.encode()).digest()
        case _:
            return hashlib.sha256(content).digest()


def _rebuild(entry: Path, build: Callable[[Path], None]) -> None:
    if entry.exists():
        logger.warning("The cache entry %s is damaged; it is built again.", entry)
        _discard(entry)
    partial = entry.with_suffix(".partial")
    if partial.exists():  # left by a process that was killed
        shutil.rmtree(partial)
    partial.mkdir()
    build(partial)
    files = sorted(path for path in partial.rglob("*") if path.is_file())
    _sync(files)
    manifest = {str(path.relative_to(partial)): _describe(path) for path in files}
    _write_manifest(partial, manifest)
    partial.rename(entry)


def _discard(entry: Path) -> None:
    """Removes an entry; renamed first, so that no reader finds it half removed."""
    trash = entry.with_suffix(".damaged")
    shutil.rmtree(trash, ignore_errors=True)
    entry.rename(trash)
    shutil.rmtree(trash)


def _intact(entry: Path) -> bool:
    try:
        manifest: dict[str, Any] = json.loads((entry / MANIFEST).read_text())
        return all(_is_as_built(entry, name, manifest) for name in manifest)
    except (OSError, ValueError, AttributeError, TypeError):
        return False


def _is_as_built(entry: Path, name: str, manifest: dict[str, Any]) -> bool:
    """Checks a file of an entry by its size and time, or by its content if it was touched."""
    path, (size, time, digest) = entry / name, manifest[name]
    status = path.stat()
    if status.st_size != size:
        return False
    if status.st_mtime_ns == time and os.environ.get(VERIFY) != "1":
        return True
    if fingerprint(path) != digest:
        return False
    if status.st_mtime_ns != time:  # it was copied, or restored
        with suppress(OSError):  # who may not write hashes it again
            manifest[name] = [size, status.st_mtime_ns, digest]
            _write_manifest(entry, manifest)
    return True


def _describe(path: Path) -> list[Any]:
    """Returns size, time in nanoseconds and digest of a file."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, fingerprint(path)]


def _write_manifest(entry: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the list of the files of an entry, at once for whoever reads it."""
    temporary = entry / f".{MANIFEST}.{os.getpid()}"
    temporary.write_text(json.dumps(manifest))
    _sync([temporary])
    temporary.replace(entry / MANIFEST)


def _sync(paths: Iterable[Path]) -> None:
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())
