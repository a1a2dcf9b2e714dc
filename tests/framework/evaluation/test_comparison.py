import pytest

from framework.data.series.benchmarks import competitions, published_scores
from framework.evaluation.comparison import beside_published


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
