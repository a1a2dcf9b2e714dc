import numpy as np
import pytest
import torch

from framework.data.series.panels import Arrays
from framework.data.series.scaling import MeanScaling
from framework.papers.chronos.benchmarks import BenchmarkSet, competitions, seasonal_naive
from tests.framework.evaluation.chronos_results import results


def by_a_loop(past, observed, season, horizon):
    values = []
    for h in range(horizon):
        steps = [t for t in range(len(past)) if observed[t] and (t - len(past) - h) % season == 0]
        steps = steps or [t for t in range(len(past)) if observed[t]]
        values.append(past[steps[-1]] if steps else 0.0)
    return values


@pytest.mark.parametrize("season", [1, 3, 5, 12])
def test_a_season_comes_again(season):
    generator = torch.Generator().manual_seed(0)
    past = torch.randn(20, 9, generator=generator)
    observed = torch.rand(20, 9, generator=generator) < torch.linspace(0, 1, 20)[:, None]
    got = seasonal_naive(past, observed, season, 7)
    for row, values, there in zip(got, past, observed, strict=True):
        expected = by_a_loop(values.tolist(), there.tolist(), season, 7)
        assert row.tolist() == pytest.approx(expected)


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
