"""Examples at equal distances: each once, from the whole split, as many as there are at most."""

from itertools import pairwise

import pytest
import torch

from framework.analysis.sample import Spread
from tests.framework.papers.myopic.models import Windows


@pytest.mark.parametrize(("size", "length"), [(1, 1), (4, 4), (9, 9), (23, 23), (50, 23)])
def test_examples_are_evenly_spread(size, length):
    windows = Windows(23)
    spread = Spread(windows, size)
    assert len(spread) == length
    taken = spread.__getitems__(list(range(length))).tokens
    places = [k * 23 // length for k in range(length)]
    assert torch.equal(taken, windows.batch.tokens[places])
    gaps = {b - a for a, b in pairwise(places)}
    assert gaps <= {23 // length, -(-23 // length)}
    assert 0 not in gaps


def test_all_examples_where_no_size_is_given():
    windows = Windows(5)
    spread = Spread(windows)
    assert torch.equal(spread.__getitems__([4, 0]).target, windows.batch.target[[4, 0]])
    assert len(spread) == 5


def test_a_spread_of_nothing():
    with pytest.raises(ValueError, match="Spread: size=0 takes no example; use at least 1"):
        Spread(Windows(5), 0)
