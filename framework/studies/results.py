"""Results of a study: a number per variant, seed, learning rate and metric, and their table."""

from __future__ import annotations

import csv
import io
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from framework.run_files import BASELINES
from framework.studies.rates import RECIPE_RATE, ChosenRate
from framework.tables import plus_minus
from framework.whole_files import write_text

Published = Mapping[str, Mapping[str, str]]
"""Numbers of a paper as it states them, by variant and metric."""

Trivial = Mapping[str, Mapping[str, float]]
"""Scores of predictions that learn nothing, by their name (after that of a group) and metric."""


class Result(NamedTuple):
    """One number."""

    variant: str  # what was run
    seed: int
    metric: str
    value: float
    learning_rate: float | None = None  # None: that of the recipe


def write(path: Path, results: Iterable[Result]) -> None:
    """Writes results as a CSV file, with the names of the columns in the first line."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(Result._fields)
    for *names, value, rate in results:
        writer.writerow([*names, repr(float(value)), "" if rate is None else repr(rate)])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, file.getvalue())


def read(path: Path) -> list[Result]:
    """Reads what `write` wrote; older files have no learning rates."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Result(
                row["variant"],
                int(row["seed"]),
                row["metric"],
                float(row["value"]),
                float(row["learning_rate"]) if row.get("learning_rate") else None,
            )
            for row in csv.DictReader(file)
        ]


def summary(
    results: Iterable[Result],
    metrics: Sequence[str],
    published: Published | None = None,
    rates: Mapping[str, ChosenRate] | None = None,
    trivial: Trivial | None = None,
) -> list[list[str]]:
    """Arranges results as a table: a row per variant, mean ± standard deviation over n seeds.

    The deviation is that of a sample (n - 1 in the denominator); one seed has none. A metric that
    fewer seeds have states its own n. A metric with published numbers gets a second column for
    these. If variants had several learning rates to choose from, a column says which was chosen.

    Args:
        results: The results, in the order in which variants are to appear, of one learning rate
            for each variant.
        metrics: The metrics that are shown, in the order of their columns.
        published: Published numbers; variants that were not run appear below the others.
        rates: The learning rate of each variant.
        trivial: Scores of predictions that learn nothing, which appear last.

    Returns:
        Rows of cells of one length, the first of which names the columns.

    Example:
        >>> runs = [Result("linear", 1, "nll", 2.0), Result("linear", 2, "nll", 4.0)]
        >>> summary(runs, ["nll"], {"linear": {"nll": "2.9"}})
        [['variant', 'n', 'nll', '(published)'], ['linear', '2', '3.0 ± 1.4', '2.9']]
    """
    published, rates, trivial = published or {}, rates or {}, trivial or {}
    by_variant: dict[str, list[Result]] = {}
    for result in results:
        by_variant.setdefault(result.variant, []).append(result)
    stated = {metric for numbers in published.values() for metric in numbers}
    tuned = any(rate != RECIPE_RATE for rate in rates.values())
    head = ["variant", "n", *(["learning rate"] if tuned else [])]
    for metric in metrics:
        head += [metric, "(published)"] if metric in stated else [metric]
    rows = [head]
    for variant in dict.fromkeys((*by_variant, *published, *trivial)):
        found = by_variant.get(variant, [])
        seeds = len({result.seed for result in found})
        row = [variant, "" if variant in trivial else str(seeds)]
        if tuned:
            row.append(rates[variant].describe() if variant in rates else "")
        for metric in metrics:
            values = [result.value for result in found if result.metric == metric]
            values += [trivial[variant][metric]] if metric in trivial.get(variant, {}) else []
            row.append(spread(values) + _own_number(len(values), seeds))
            if metric in stated:
                row.append(published.get(variant, {}).get(metric, ""))
        rows.append(row)
    return rows


def simple_predictions(results: Iterable[Result]) -> dict[str, dict[str, float]]:
    """Collects the scores of the simple predictions that runs noted beside their own.

    Returns:
        By name, after that of the group of the runs, and metric: the mean over the runs.

    Example:
        >>> simple_predictions([Result("a/fan", 1, "baselines/naive/val/mase", 1.5)])
        {'a/naive': {'val/mase': 1.5}}
    """
    found: dict[str, dict[str, list[float]]] = {}
    for result in results:
        if result.metric.startswith(BASELINES):
            name, metric = result.metric.removeprefix(BASELINES).split("/", 1)
            scores = found.setdefault(rival(result.variant, name), {})
            scores.setdefault(metric, []).append(result.value)
    return {
        name: {metric: statistics.fmean(values) for metric, values in scores.items()}
        for name, scores in found.items()
    }


def rival(variant: str, baseline: str) -> str:
    """Returns the variant of the same group that has the name of the baseline."""
    group, slash, _ = variant.rpartition("/")
    return f"{group}{slash}{baseline}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Writes a table, whose first row names the columns, as Markdown."""
    rule = ["---"] * len(rows[0])
    lines = ["| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join(lines) + "\n"


def spread(values: Sequence[float]) -> str:
    """Writes mean ± standard deviation of a sample, to the second digit of the deviation."""
    if not values:
        return ""
    return plus_minus(statistics.fmean(values), deviation(values))


def deviation(values: Sequence[float]) -> float:
    """Computes the standard deviation of a sample; nan if that is not a number."""
    known = len(values) > 1 and all(map(math.isfinite, values))
    return statistics.stdev(values) if known else math.nan


def _own_number(number: int, seeds: int) -> str:
    return f" (n = {number})" if 0 < number < seeds else ""
