"""Files that a run leaves, and their names: the numbers of its table as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

METRICS = "metrics.json"  # in the log directory: the numbers of the table
BASELINES = "baselines/"  # begins the names of scores of simple predictions there


def write_metrics(folder: Path, numbers: Mapping[str, float]) -> None:
    """Writes numbers into a log directory, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / METRICS).write_text(json.dumps(numbers, indent=1), encoding="utf-8")


def read_metrics(path: Path) -> dict[str, float]:
    """Reads a file of numbers.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in numbers.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no numbers by name ({error}); remove it.") from error
