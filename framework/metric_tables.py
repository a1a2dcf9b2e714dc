"""Metrics of a run as a table: a row for each, a column for each stage and simple prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import SupportsFloat

from framework.run_files import BASELINES

Scores = Mapping[str, Mapping[str, float]]
"""Scores of simple predictions, by their name and that of the metric."""


def rows_by_stage(metrics: Mapping[str, SupportsFloat]) -> list[list[str]]:
    """Returns metrics named "stage/name" as rows of a table with a column per stage, header first.

    Example:
        >>> rows_by_stage({"train/nll": 2.5, "val/nll": 3.0})
        [['metric', 'train', 'val'], ['nll', '2.5', '3']]
    """
    pairs = [key.split("/", 1) for key in metrics if "/" in key]
    stages = list(dict.fromkeys(stage for stage, _ in pairs))
    names = list(dict.fromkeys(name for _, name in pairs))
    body = [
        [name, *(_number(metrics.get(f"{stage}/{name}")) for stage in stages)] for name in names
    ]
    return [["metric", *stages], *body]


def with_baselines(rows: list[list[str]], scores: Scores) -> list[list[str]]:
    """Adds a column for each simple prediction, if the table has one of its metrics.

    Example:
        >>> with_baselines([["metric", "val"], ["nll", "3"], ["mae", "1"]], {"naive": {"mae": 2}})
        [['metric', 'val', 'naive'], ['nll', '3', ''], ['mae', '1', '2']]
    """
    shown = {row[0] for row in rows}
    columns = {name: part for name, part in scores.items() if shown & part.keys()}
    header, *body = rows
    return [
        [*header, *columns],
        *([*row, *(_number(part.get(row[0])) for part in columns.values())] for row in body),
    ]


def noted_scores(numbers: Mapping[str, float]) -> Scores:
    """Collects the scores of simple predictions that a run noted beside its own numbers.

    Example:
        >>> noted_scores({"val/mase": 1.0, "baselines/naive/val/mase": 1.5})
        {'naive': {'mase': 1.5}}
    """
    found: dict[str, dict[str, float]] = {}
    for key, value in numbers.items():
        if key.startswith(BASELINES) and key.count("/") > 2:
            name, _, metric = key.removeprefix(BASELINES).split("/", 2)
            found.setdefault(name, {})[metric] = value
    return found


def _number(value: SupportsFloat | None) -> str:
    return "" if value is None else f"{float(value):.5g}"
