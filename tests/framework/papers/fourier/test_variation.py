"""Total variation as a metric: the mean over all pairs, however they are divided."""

import pytest
import torch

from components.metrics.densities import total_variation
from framework.papers.fourier import TotalVariation


def test_it_is_the_mean_over_all_pairs():
    torch.manual_seed(0)
    first, second = (torch.rand(7, 5).softmax(-1) for _ in range(2))
    metric = TotalVariation()
    metric.update(first[:2], second[:2])
    metric.update(first[2:], second[2:])
    expected = (first - second).abs().sum(-1).mean() / 2
    torch.testing.assert_close(metric.compute().float(), expected)
    metric.reset()
    with pytest.warns(UserWarning, match="before the ``update`` method"):
        assert metric.compute().isnan()


def test_states_of_processes_add_up():
    first, second = torch.eye(4)[:, None], torch.full((4,), 0.25)
    parts = [TotalVariation() for _ in range(2)]
    parts[0].update(first[:1], second)
    parts[1].update(first[1:], second)
    merged = sum(part.total for part in parts) / sum(part.count for part in parts)
    torch.testing.assert_close(merged.float(), total_variation(first, second).mean())
