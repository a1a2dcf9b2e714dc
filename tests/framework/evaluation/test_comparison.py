"""Relative scores against published ones, and the table that shows both."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from framework.data.series.benchmarks import competitions
from framework.evaluation.comparison import beside_published, published_scores, relative_score

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
        ([], [], "has no scores to average"),
        ([-1.0], [1.0], "at least 0"),
        ([1.0], [0.0], "references=\\[0.0\\] positive"),
    ],
)
def test_mistakes_get_one_sentence(scores, references, message):
    with pytest.raises(ValueError, match=message):
        relative_score(scores, references)


def cells(table):
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=True)) for line in lines}


@pytest.mark.parametrize("metric", ["mase", "wql"])
def test_published_numbers_stand_beside_ours(metric):
    ours = {f"test/{metric}/{name}": 0.125 * (k + 1) for k, name in enumerate(competitions())}
    table = cells(beside_published(metric, {"ours": ours}))
    assert list(table) == [metric.upper(), "---", *competitions(), "relative"]
    for row in published_scores():
        if row.model in table["relative"]:
            assert table[row.benchmark][row.model] == f"{getattr(row, metric):.3f}"
    assert table["m1_yearly"]["ours"] == "0.375"
    assert table["relative"]["seasonal-naive"] == "1.000"


def test_the_relative_score_is_that_of_the_sets():
    """A model that halves every error of the seasonal naive forecast scores a half."""
    naive = [row for row in published_scores() if row.model == "seasonal-naive"]
    half = {f"test/mase/{row.benchmark}": row.mase / 2 for row in naive}
    assert cells(beside_published("mase", {"half": half}))["relative"]["half"] == "0.500"


def test_a_set_that_was_not_tested_is_named():
    with pytest.raises(ValueError, match="ours has no test/wql/m1_monthly; test it on"):
        beside_published("wql", {"ours": {}})
