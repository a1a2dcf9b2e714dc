import numpy as np
import pytest

from framework.data.series.panels import Arrays
from framework.data.series.scaling import MeanScaling
from framework.papers.chronos.benchmarks import BenchmarkSet, competitions
from tests.framework.evaluation.chronos_results import results


@pytest.mark.parametrize("name", competitions())
def test_scores_are_those_of_the_published_evaluation(name):
    published = results("seasonal-naive")[f"monash_{name}"]
    benchmark = BenchmarkSet.of(competitions()[name], 64, None)
    mase, wql = benchmark.naive_scores(MeanScaling())
    assert mase == pytest.approx(float(published["MASE"]), rel=3e-4)
    assert wql == pytest.approx(float(published["WQL"]), rel=3e-4)


def test_a_perfect_reference_compares_with_nothing():
    benchmark = BenchmarkSet.of(Arrays([np.ones(9)]), 2, None)
    assert np.isnan(benchmark.naive_scores(MeanScaling())).all()
