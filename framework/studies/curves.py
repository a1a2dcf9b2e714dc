"""Learning curves of a study: what its runs logged, step by step."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator


class Point(NamedTuple):
    """One number of one run at one step."""

    variant: str
    seed: int
    metric: str
    step: int
    value: float


def read_points(variant: str, seed: int, folder: Path, metrics: Sequence[str]) -> list[Point]:
    """Reads what a run logged to TensorBoard, by metric and step.

    A step that a resumed run took again counts once, with what was logged last.

    Args:
        variant: What was run.
        seed: Of the run.
        folder: Its log directory.
        metrics: Names of what to read; those that were not logged are left out.
    """
    events = EventAccumulator(str(folder), size_guidance={SCALARS: 0}).Reload()  # 0: all of them
    logged = events.Tags()[SCALARS]
    found = []
    for metric in metrics:
        values = {e.step: e.value for e in (events.Scalars(metric) if metric in logged else ())}
        found += [Point(variant, seed, metric, *each) for each in sorted(values.items())]
    return found


def write_points(path: Path, points: Iterable[Point]) -> None:
    """Writes points as a CSV file, with the names of the columns in the first line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Point._fields)
        writer.writerows((*point[:4], f"{point.value:.7g}") for point in points)
