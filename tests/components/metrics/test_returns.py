import pytest
import torch

from components.metrics.returns import normalized_score


def test_random_scores_zero_and_the_reference_a_hundred():
    found = normalized_score(torch.tensor([68.4, 42054.7, 68.4 + 41986.3 / 4]), 68.4, 42054.7)
    torch.testing.assert_close(found, torch.tensor([0.0, 100.0, 25.0]))


def test_a_better_reference_may_be_lower_than_nothing_but_not_equal():
    with pytest.raises(ValueError, match=r"both 1\.0"):
        normalized_score(torch.tensor([1.0]), 1.0, 1.0)
