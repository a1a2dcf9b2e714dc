"""Relative scores over many data sets, and forecasts beside those that Chronos published."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple


def relative_score(scores: Sequence[float], references: Sequence[float]) -> float:
    r"""Averages the ratios of errors to those of a reference, by the geometric mean.

    .. math:: \Big(\prod_{i=1}^n s_i / r_i\Big)^{1/n}

    Below 1 the model beats the reference on average. Unlike with other means, the order of two
    models does not depend on the reference, and no data set counts more because its errors are
    large.

    Args:
        scores: Error on each data set, at least 0.
        references: Error of the reference on each, positive.

    Returns:
        The relative score; `nan` if a score or a reference is.

    Raises:
        ValueError: If there is nothing to average, or an error is out of its range.

    Source: Ansari et al., "Chronos" (arXiv:2403.07815), section 5.3, after Fleming and Wallace,
        "How not to lie with statistics" (1986).

    Example:
        >>> relative_score([2.0, 0.5], [1.0, 1.0])
        1.0
    """
    if not scores:
        raise ValueError("relative_score has no scores to average; give that of at least one set.")
    if min(scores) < 0 or min(references) <= 0:
        raise ValueError(
            f"relative_score: scores={list(scores)} must be at least 0, and "
            f"references={list(references)} positive."
        )
    ratios = [score / reference for score, reference in zip(scores, references, strict=True)]
    return 0.0 if 0.0 in ratios else math.exp(math.fsum(map(math.log, ratios)) / len(ratios))


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
    text = files("framework.evaluation").joinpath("published.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return [Published(r["model"], r["benchmark"], float(r["mase"]), float(r["wql"])) for r in rows]


NAIVE = "seasonal-naive"
SHOWN = (NAIVE, "chronos-t5-tiny", "chronos-t5-mini", "chronos-t5-small")

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
    naive = published[NAIVE]
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
    names = {name: f"test/{metric}/{name}" for name in published[NAIVE]}
    missing = [key for key in names.values() if key not in scores]
    if missing:
        raise ValueError(
            f"beside_published: {model} has no {missing[0]}; test it on the eight sets that "
            "ZeroShotData uses by default."
        )
    return {name: scores[key] for name, key in names.items()}


def _relative(scores: Scores, naive: Scores) -> float:
    return relative_score([scores[name] for name in naive], list(naive.values()))
