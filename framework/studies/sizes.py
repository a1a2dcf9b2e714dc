"""Results against the size of models: pairs to draw, and the size that another kind needs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

import numpy as np

from framework.studies.results import Result

Kinds = dict[str, list[list[tuple[float, float]]]]
"""Models of each kind, and of each model two metrics of its runs, a pair per seed."""


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
