import math

import pytest
import torch

from components.metrics.forecasting import (
    absolute_scaled_error,
    coverage,
    pinball,
    weighted_quantile_loss,
)


def test_pinball_equals_its_cases_and_is_minimal_at_the_quantile():
    assert pinball(torch.tensor(1.0), torch.tensor(3.0), 0.9).item() == pytest.approx(0.9 * 2)
    assert pinball(torch.tensor(3.0), torch.tensor(1.0), 0.9).item() == pytest.approx(0.1 * 2)
    torch.manual_seed(0)
    values = torch.randn(1000, dtype=torch.float64)
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64)
    best = grid[pinball(grid[:, None], values, 0.8).mean(-1).argmin()]
    assert best.item() == pytest.approx(values.quantile(0.8).item(), abs=0.02)


def test_weighted_quantile_loss_equals_a_loop_and_adds_up_over_batches():
    torch.manual_seed(0)
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    quantiles = torch.randn(4, 6, 3, dtype=torch.float64)
    target = torch.randn(4, 6, dtype=torch.float64)
    weight = (torch.rand(4, 6) > 0.3).double()
    above = below = 0.0
    for b in range(4):
        for t in range(6):
            if weight[b, t]:
                below += abs(target[b, t].item())
                for q, level in zip(quantiles[b, t].tolist(), levels.tolist(), strict=True):
                    error = target[b, t].item() - q
                    above += 2 * (level * error if error > 0 else (level - 1) * error) / 3
    parts = [
        weighted_quantile_loss(quantiles[half], target[half], weight[half], levels)
        for half in (slice(0, 1), slice(1, 4))
    ]
    numerator = sum(part.numerator.sum() for part in parts)
    denominator = sum(part.denominator.sum() for part in parts)
    assert (numerator / denominator).item() == pytest.approx(above / below)


def test_scaled_error_of_the_naive_forecast_of_its_own_past_is_one():
    series = torch.tensor([[1.0, 3.0, 2.0, 5.0, 4.0, 9.0]])
    naive, target = series[:, :-1], series[:, 1:]
    error = (target - naive).abs().mean(1, keepdim=True)
    ratio = absolute_scaled_error(naive, target, error, torch.ones(1, 5))
    assert (ratio.numerator.sum() / ratio.denominator.sum()).item() == pytest.approx(1.0)


def test_series_without_a_scale_do_not_count():
    target = torch.tensor([[1.0], [2.0]])
    error = torch.tensor([[0.0], [0.5]])
    ratio = absolute_scaled_error(torch.zeros(2, 1), target, error, torch.ones(2, 1))
    assert ratio.denominator.tolist() == [[0.0], [1.0]]
    assert ratio.numerator.tolist() == [[0.0], [4.0]]


def test_coverage_of_the_central_half_of_a_normal_distribution():
    torch.manual_seed(0)
    bound = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(0.75))
    ratio = coverage(-bound, bound, torch.randn(40_000), torch.ones(40_000))
    share = (ratio.numerator.sum() / ratio.denominator.sum()).item()
    assert share == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / 40_000))


def test_coverage_counts_bounds_as_inside_and_skips_what_is_missing():
    values, weight = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([1.0, 1.0, 0.0])
    ratio = coverage(torch.tensor(0.0), torch.tensor(0.5), values, weight)
    assert ratio.numerator.tolist() == [1.0, 0.0, 0.0]
    assert ratio.denominator.tolist() == [1.0, 1.0, 0.0]
