"""What a run logged, as charts: a chart for each metric, with a line for each stage."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from framework.catalogue.report.charts import Chart, Line, line_chart
from framework.catalogue.runs import FIRST
from framework.event_files import Events, Series, read_events

STAGES = ("train", "val", "test")  # the numbers of their colors
SPEED = "speed/"  # begins the names of what is measured of the machine
CSV_LOG = "metrics.csv"  # of Lightning's CSVLogger
COUNTERS = ("step", "epoch")  # its columns that are no metrics

Scalars = Mapping[str, Series]
"""Logged values by name and step."""


def read_logs(folder: Path) -> Events:
    """Reads what a run logged to TensorBoard, or else to a file of Lightning's CSVLogger.

    Raises:
        ValueError: If a file is damaged.
    """
    events = read_events(folder)
    path = folder / CSV_LOG
    return events if events.scalars or not path.is_file() else events._replace(scalars=_rows(path))


def _rows(path: Path) -> dict[str, Series]:
    found: dict[str, Series] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file, strict=True):
                for name, value in row.items():
                    if value and name not in COUNTERS:
                        found.setdefault(name, {})[int(row["step"])] = float(value)
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        raise ValueError(f"{path} holds no metrics by step ({error}); remove it.") from error
    return found


def charts(scalars: Scalars) -> list[Chart]:
    """Draws a chart for each metric; those of validation come first."""
    return [
        line_chart(
            metric, [Line(stage, [*series.items()], color) for stage, series, color in part]
        )
        for metric, part in _by_metric(scalars)
    ]


def _by_metric(scalars: Scalars) -> Iterator[tuple[str, list[tuple[str, Series, int]]]]:
    stages = {name: name.partition("/") for name in sorted(scalars, key=_rank)}
    metrics: dict[str, list[tuple[str, Series, int]]] = {}
    for name, (stage, _, metric) in stages.items():
        if stage in STAGES and metric:
            part = (stage, scalars[name], STAGES.index(stage))
            metrics.setdefault(metric, []).append(part)
        else:
            metrics[name] = [("", scalars[name], 0)]
    yield from metrics.items()


def _rank(name: str) -> tuple[bool, bool, bool, int]:
    """Orders metrics: the likelihood, others of validation and test, training, all else."""
    stage = name.partition("/")[0]
    rank = STAGES.index(stage) if stage in STAGES else len(STAGES)
    return name not in FIRST, stage not in STAGES[1:], stage not in STAGES, rank


def compared(runs: Iterable[tuple[str, Scalars]]) -> list[Chart]:
    """Draws a chart for each metric that runs logged: means of variants, and faintly each run.

    Args:
        runs: The variant of each run, and what it logged.
    """
    by_variant: dict[str, list[Scalars]] = {}
    for variant, scalars in runs:
        by_variant.setdefault(variant, []).append(scalars)
    names = {name for logged in by_variant.values() for scalars in logged for name in scalars}
    return [
        line_chart(name, [*_lines(name, by_variant)])
        for name in sorted(names, key=lambda name: (_rank(name), name))
        if not name.startswith(SPEED)
    ]


def _lines(name: str, by_variant: Mapping[str, Sequence[Scalars]]) -> Iterator[Line]:
    for color, (variant, logged) in enumerate(by_variant.items()):
        series = [scalars[name] for scalars in logged if name in scalars]
        if len(series) > 1:
            yield from (Line(variant, [*each.items()], color, faint=True) for each in series)
        steps = [step for step in (series or [{}])[0] if all(step in each for each in series)]
        if mean := [(step, fmean(each[step] for each in series)) for step in steps]:
            yield Line(variant, mean, color)
