"""Learning curves of a study: the values that its runs logged, step by step."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from framework.event_files import read_events
from framework.figures.curves import LoggedValue


def read_logs(variant: str, seed: int, folder: Path, metrics: Sequence[str]) -> list[LoggedValue]:
    """Reads what a run logged to TensorBoard, by metric and step.

    Of a step that was logged twice, as after resuming, the last value counts.

    Args:
        variant: Variant of the run.
        seed: Seed of the run.
        folder: Its log directory.
        metrics: Names of the metrics to read; those that were not logged are left out.

    Raises:
        ValueError: If a file of its events is damaged.
    """
    logged = read_events(folder).scalars
    return [
        LoggedValue(variant, seed, metric, step, value)
        for metric in metrics
        for step, value in logged.get(metric, {}).items()
    ]


def write_logs(path: Path, points: Iterable[LoggedValue]) -> None:
    """Writes logged values as a CSV file, with the names of the columns in the first line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LoggedValue._fields)
        writer.writerows((*point[:4], f"{point.value:.7g}") for point in points)
