"""Total variation against its definition: the largest difference over all events."""

from itertools import chain, combinations

import pytest
import torch

from components.metrics.densities import total_variation


def events(cells):
    return chain.from_iterable(combinations(range(cells), k) for k in range(cells + 1))


@pytest.mark.parametrize("mass", [1.0, 0.9])
def test_it_is_the_largest_difference_over_all_events(mass):
    torch.manual_seed(0)
    first = torch.rand(6, dtype=torch.float64).softmax(0)
    second = mass * torch.rand(6, dtype=torch.float64).mul(3).softmax(0)
    whole = [
        torch.cat((distribution, 1 - distribution.sum(0, keepdim=True)))
        for distribution in (first, second)
    ]
    largest = max(sum(whole[0][k] - whole[1][k] for k in event) for event in events(7))
    torch.testing.assert_close(total_variation(first, second), torch.as_tensor(largest))


def test_equal_distributions_and_distributions_apart():
    distributions = torch.eye(3)
    expected = 1 - torch.eye(3)
    torch.testing.assert_close(
        total_variation(distributions.unsqueeze(1), distributions), expected
    )
