"""Facts of large files that are found once, as long as a file does not change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.data.cache import cached, fingerprint

END = 1 << 16  # bytes at either end of a file that identify it, together with its size


def found_once(path: Path, find: Callable[[], Any], **what: str) -> Any:
    """Finds a fact of a file once, and keeps it as long as its name, time and ends do not change.

    All processes of a machine, and later runs, then start without a pass over it.

    Args:
        path: The file.
        find: Finds the fact, plain data.
        what: Names the fact, and what else it depends on.
    """

    def write(folder: Path) -> None:
        (folder / "facts.json").write_text(json.dumps(find()))

    time, ends = path.stat().st_mtime_ns, fingerprint(*ends_of(path))
    key = {"file": str(path.absolute()), "time": time, "ends": ends, **what}
    return json.loads((cached("measured", key, write) / "facts.json").read_text())


def ends_of(path: Path) -> tuple[str, bytes, bytes]:
    """Returns the size of a file in digits, its first and its last bytes."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - END))
        last = file.read()
        file.seek(0)
        return str(size), file.read(END), last
