"""Relative scores against published ones, before any model of ours is scored."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from framework.data.series.benchmarks import published_scores
from framework.evaluation.aggregation import relative_score

RESULTS = Path(__file__).parent / "chronos_results"
LEFT_OUT = {
    "ETTh",
    "ETTm",
    "dominick",
    "ercot",
    "exchange_rate",
    "monash_covid_deaths",
    "monash_fred_md",
}
"""Of the 27 zero-shot sets of Chronos, those that Gillman et al. (arXiv:2410.22269) leave out."""


def results(model):
    with (RESULTS / f"{model}-zero-shot.csv").open() as file:
        return {row["dataset"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize(
    ("size", "mase", "wql"),
    [
        ("tiny", 0.8862, 0.7553),
        ("mini", 0.8635, 0.7558),
        ("small", 0.8557, 0.7431),
        ("base", 0.8323, 0.7235),
        ("large", 0.8244, 0.7125),
    ],
)
def test_published_scores_of_chronos_are_reproduced(size, mase, wql):
    naive, model = results("seasonal-naive"), results(f"chronos-t5-{size}")
    names = sorted(naive.keys() - LEFT_OUT)
    assert len(names) == 20
    for metric, expected in (("MASE", mase), ("WQL", wql)):
        scores, references = (
            [float(table[name][metric]) for name in names] for table in (model, naive)
        )
        assert relative_score(scores, references) == pytest.approx(expected, abs=5e-5)


def test_shipped_scores_are_those_of_the_results():
    shipped = published_scores()
    assert len(shipped) == 6 * 8
    for row in shipped:
        published = results(row.model)[f"monash_{row.benchmark}"]
        assert (row.mase, row.wql) == (float(published["MASE"]), float(published["WQL"]))


def test_a_relative_score_is_a_geometric_mean():
    scores, references = np.random.default_rng(0).gamma(2, size=(2, 7))
    expected = np.prod(scores / references) ** (1 / 7)
    assert relative_score(list(scores), list(references)) == pytest.approx(expected)


def test_odd_scores():
    assert relative_score([0.0, 3.0], [1.0, 1.0]) == 0
    assert math.isnan(relative_score([math.nan, 3.0], [1.0, 1.0]))
    assert math.isnan(relative_score([1.0, 3.0], [1.0, math.nan]))


@pytest.mark.parametrize(
    ("scores", "references", "message"),
    [
        ([], [], "averages nothing"),
        ([-1.0], [1.0], "at least 0"),
        ([1.0], [0.0], "references=\\[0.0\\] positive"),
    ],
)
def test_mistakes_get_one_sentence(scores, references, message):
    with pytest.raises(ValueError, match=message):
        relative_score(scores, references)
