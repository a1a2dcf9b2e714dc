"""Means are ratios of sums over everything, however it was divided; held against NumPy."""

import numpy as np
import pytest
import torch

from framework.modules.weighted_means import WeightedMeans
from tests.ranks import run_ranks


def test_mean_over_batches_is_that_of_all_values():
    generator = np.random.default_rng(0)
    values, weights = generator.normal(size=(50, 3)), generator.integers(0, 5, size=(50, 3))
    tally = WeightedMeans()
    for part in (slice(0, 7), slice(7, 41), slice(41, 50)):
        tally.add("x", torch.tensor(values[part]), torch.tensor(weights[part]))
    expected = np.average(values, weights=weights)
    assert tally.means(torch.device("cpu")) == {"x": pytest.approx(expected, rel=1e-12)}
    assert tally.means(torch.device("cpu")) == {}  # begins anew


def test_small_values_are_not_lost_in_a_long_sum():
    tally = WeightedMeans()
    tally.add("x", torch.tensor([2.0**25]), torch.tensor([1.0]))
    for _ in range(8):
        tally.add("x", torch.tensor([1.0]), torch.tensor([1.0]))  # 2²⁵ + 1 = 2²⁵ in float32
    assert tally.means(torch.device("cpu"))["x"] == (2.0**25 + 8) / 9


def test_values_without_weight_may_be_anything():
    tally = WeightedMeans()
    tally.add("x", torch.tensor([1.0, float("nan")]), torch.tensor([2.0, 0.0]))
    tally.add("nothing", torch.ones(3), torch.zeros(3))
    means = tally.means(torch.device("cpu"))
    assert means["x"] == 1.0
    assert np.isnan(means["nothing"])


def test_a_ratio_counts_numerators_without_denominator():
    tally = WeightedMeans()
    tally.add_ratio("x", torch.tensor([3.0]), torch.tensor([0.0]))
    tally.add_ratio("x", torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0]))
    assert tally.means(torch.device("cpu")) == {"x": 6 / 3}


def test_ranks_may_have_seen_different_names():
    def rank() -> dict[str, float]:
        torch.distributed.init_process_group("gloo")
        own = torch.distributed.get_rank()
        tally = WeightedMeans()
        tally.add("both", torch.full((own + 1,), float(own)), torch.ones(own + 1))
        if own == 1:
            tally.add("one", torch.tensor([5.0]), torch.tensor([2.0]))
        means = tally.means(torch.device("cpu"))
        torch.distributed.destroy_process_group()
        return means

    for means in run_ranks(rank, 2):
        assert means == {"both": 2 / 3, "one": 5.0}
