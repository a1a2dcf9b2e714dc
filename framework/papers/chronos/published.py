"""Own forecasts beside those that the authors of Chronos published, on the same eight sets."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from framework.evaluation.forecasting import relative_score

SEASONAL_NAIVE = "seasonal-naive"
SHOWN = (SEASONAL_NAIVE, "chronos-t5-tiny", "chronos-t5-mini", "chronos-t5-small")

Scores = Mapping[str, float]
"""Errors by benchmark set."""


def beside_published(
    metric: str, tested: Mapping[str, Mapping[str, float]], models: Sequence[str] = SHOWN
) -> str:
    """Writes a table of benchmark sets by models, published ones first, with relative scores.

    Args:
        metric: `mase` or `wql`.
        tested: Metrics of own test runs by model, as Lightning reports them, such as
            `test/mase/m3_monthly`; on all series of each set, or they cannot be compared.
        models: Published models to show, of those of `published_scores`.

    Returns:
        A table in Markdown.

    Raises:
        ValueError: If a run was not tested on one of the eight sets.
    """
    published = _published(metric)
    ours = {model: _ours(metric, model, scores, published) for model, scores in tested.items()}
    columns = {**{model: published[model] for model in models}, **ours}
    naive = published[SEASONAL_NAIVE]
    rows = [[name, *(f"{scores[name]:.3f}" for scores in columns.values())] for name in naive]
    relative = [_relative(scores, naive) for scores in columns.values()]
    header = [metric.upper(), *columns]
    lines = [header, ["---"] * len(header), *rows, ["relative", *map("{:.3f}".format, relative)]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _published(metric: str) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = {}
    for row in published_scores():
        value = {"mase": row.mase, "wql": row.wql}[metric]
        scores.setdefault(row.model, {})[row.benchmark] = value
    return scores


def _ours(metric: str, model: str, scores: Scores, published: Mapping[str, Scores]) -> Scores:
    names = {name: f"test/{metric}/{name}" for name in published[SEASONAL_NAIVE]}
    missing = [key for key in names.values() if key not in scores]
    if missing:
        raise ValueError(
            f"beside_published: {model} has no {missing[0]}; test it on the eight sets that "
            "ZeroShotData uses by default."
        )
    return {name: scores[key] for name, key in names.items()}


def _relative(scores: Scores, naive: Scores) -> float:
    return relative_score([scores[name] for name in naive], list(naive.values()))


class Published(NamedTuple):
    """A published score of a model on a benchmark set."""

    model: str
    benchmark: str
    mase: float
    wql: float


def published_scores() -> list[Published]:
    """Reads what the authors of Chronos published for the eight sets of `competitions`.

    Models are `seasonal-naive` and `chronos-t5-{tiny,mini,small,base,large}`, zero-shot.

    Source: results of github.com/amazon-science/chronos-forecasting (Apache-2.0).
    """
    text = files(__package__).joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [Published(r["model"], r["benchmark"], float(r["mase"]), float(r["wql"])) for r in rows]
