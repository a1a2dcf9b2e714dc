"""The published scores are shipped as they are, and stand beside ours."""

import pytest

from framework.papers.chronos.benchmarks import competitions
from framework.papers.chronos.published import beside_published, published_scores
from tests.framework.evaluation.chronos_results import results


def test_shipped_scores_are_those_of_the_results():
    shipped = published_scores()
    assert len(shipped) == 6 * 8
    for row in shipped:
        published = results(row.model)[f"monash_{row.benchmark}"]
        assert (row.mase, row.wql) == (float(published["MASE"]), float(published["WQL"]))


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
