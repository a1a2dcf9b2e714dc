"""Results of a study: a number per variant, seed and metric, and their tables."""

from __future__ import annotations

import csv
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from framework.callbacks.table import plus_minus

Published = Mapping[str, Mapping[str, str]]
"""Numbers of a paper as it states them, by variant and metric."""

Kinds = dict[str, list[list[tuple[float, float]]]]
"""Models of each kind, and of each model two metrics of its runs, a pair per seed."""


class Result(NamedTuple):
    """One number."""

    variant: str  # what was run
    seed: int
    metric: str
    value: float


def write(path: Path, results: Iterable[Result]) -> None:
    """Writes results as a CSV file, with the names of the columns in the first line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Result._fields)
        writer.writerows((*result[:3], f"{result.value:.7g}") for result in results)


def read(path: Path) -> list[Result]:
    """Reads what `write` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [
            Result(row["variant"], int(row["seed"]), row["metric"], float(row["value"]))
            for row in rows
        ]


def summary(
    results: Iterable[Result], metrics: Sequence[str], published: Published | None = None
) -> list[list[str]]:
    """Arranges results as a table: a row per variant, mean ± standard deviation over the seeds.

    The deviation is that of the population, as papers state it; one seed has none. A metric with
    published numbers gets a second column for these.

    Args:
        results: The results, in the order in which variants are to appear.
        metrics: The metrics that are shown, in the order of their columns.
        published: Published numbers; variants that were not run appear below the others.

    Returns:
        Rows of cells of one length, the first of which names the columns.

    Example:
        >>> runs = [Result("linear", 1, "nll", 2.0), Result("linear", 2, "nll", 4.0)]
        >>> summary(runs, ["nll"], {"linear": {"nll": "2.9"}})
        [['variant', 'seeds', 'nll', '(published)'], ['linear', '2', '3.0 ± 1.0', '2.9']]
    """
    published = published or {}
    by_variant: dict[str, list[Result]] = {}
    for result in results:
        by_variant.setdefault(result.variant, []).append(result)
    for variant in published:
        by_variant.setdefault(variant, [])
    stated = {metric for numbers in published.values() for metric in numbers}
    head = ["variant", "seeds"]
    for metric in metrics:
        head += [metric, "(published)"] if metric in stated else [metric]
    rows = [head]
    for variant, found in by_variant.items():
        row = [variant, str(len({result.seed for result in found}))]
        for metric in metrics:
            row.append(_spread([result.value for result in found if result.metric == metric]))
            if metric in stated:
                row.append(published.get(variant, {}).get(metric, ""))
        rows.append(row)
    return rows


def differences(results: Iterable[Result], metric: str, baseline: str) -> list[list[str]]:
    """Arranges how much each variant differs from the baseline in runs of the same seed.

    Pairing removes the effect that a seed has on both. A variant `group/name` is compared with
    `group/baseline`.

    Args:
        results: The results, in the order in which variants are to appear.
        metric: What is compared.
        baseline: Name of the baseline, in each group.

    Returns:
        Rows of cells of one length, the first of which names the columns: the difference, mean ±
            standard deviation over the seeds that both have, and in how many it is negative.

    Example:
        >>> runs = [Result(*run) for run in [("mlp", 1, "nll", 3.0), ("fan", 1, "nll", 2.0)]]
        >>> differences(runs, "nll", "mlp")
        [['variant', 'seeds', 'nll, less that of mlp', 'below'], ['fan', '1', '-1', '1 of 1']]
    """
    by_variant: dict[str, dict[int, float]] = {}
    for result in results:
        if result.metric == metric:
            by_variant.setdefault(result.variant, {})[result.seed] = result.value
    rows = [["variant", "seeds", f"{metric}, less that of {baseline}", "below"]]
    for variant, found in by_variant.items():
        standard = by_variant.get(rival(variant, baseline), {})
        pairs = [(value, standard[seed]) for seed, value in found.items() if seed in standard]
        if variant != rival(variant, baseline) and pairs:
            gaps = [value - other for value, other in pairs]
            below = f"{sum(gap < 0 for gap in gaps)} of {len(gaps)}"
            rows.append([variant, str(len(gaps)), _spread(gaps), below])
    return rows


def rival(variant: str, baseline: str) -> str:
    """Returns the variant of the same group that has the name of the baseline."""
    group, slash, _ = variant.rpartition("/")
    return f"{group}{slash}{baseline}"


def pairs(results: Iterable[Result], x: str, y: str) -> dict[str, list[list[tuple[float, float]]]]:
    """Pairs two metrics of each run, to draw one against the other.

    Args:
        results: The results, in the order in which lines are to appear.
        x: A metric.
        y: Another one.

    Returns:
        By the last part of the variants' names, a list per variant, with a pair per seed.

    Example:
        >>> runs = [Result("wide/fan", 1, "size", 9.0), Result("wide/fan", 1, "nll", 2.0)]
        >>> pairs(runs, "size", "nll")
        {'fan': [[(9.0, 2.0)]]}
    """
    found: dict[str, dict[int, dict[str, float]]] = {}
    for result in results:
        run = found.setdefault(result.variant, {}).setdefault(result.seed, {})
        run[result.metric] = result.value
    kinds: Kinds = {}
    for variant, runs in found.items():
        both = [(run[x], run[y]) for run in runs.values() if x in run and y in run]
        if both:
            kinds.setdefault(variant.rpartition("/")[2], []).append(both)
    return kinds


def size_ratios(kinds: Kinds, baseline: str) -> list[list[str]]:
    """Arranges the fraction of a baseline's size with which other kinds reach the same result.

    Between two models of a kind, the logarithm of the size is interpolated over the mean result;
    beyond the best and the worst model there is no number.

    Args:
        kinds: Sizes and results of the runs, as of `pairs`.
        baseline: The kind that sets the results to reach.

    Returns:
        Rows of cells of one length, one per model of the baseline; the first names the columns.

    Example:
        >>> plain, fan = [[(100, 2.0)], [(400, 1.0)]], [[(50, 2.0)], [(200, 1.0)]]
        >>> size_ratios({"plain": plain, "fan": fan}, "plain")
        [['plain', 'result', 'fan'], ['100', '2', '50 %'], ['400', '1', '50 %']]
    """
    means = {
        kind: [tuple(map(statistics.fmean, zip(*runs, strict=True))) for runs in models]
        for kind, models in kinds.items()
    }
    goals = sorted(means.pop(baseline, []))
    rows = [[baseline, "result", *means]]
    for size, result in goals:
        row = [f"{size:,.0f}", f"{result:.4g}"]
        for models in means.values():
            ladder = sorted((value, math.log(own)) for own, value in models)
            values, logs = zip(*ladder, strict=True)
            found = values[0] <= result <= values[-1]
            ratio = math.exp(np.interp(result, values, logs)) / size
            row.append(f"{ratio:.0%}".replace("%", " %") if found else "")
        rows.append(row)
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Writes a table, whose first row names the columns, as Markdown."""
    rule = ["---"] * len(rows[0])
    lines = ["| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float]) -> str:
    """Writes mean ± deviation, to the second digit of the deviation."""
    if not values:
        return ""
    return plus_minus(statistics.fmean(values), statistics.pstdev(values))
