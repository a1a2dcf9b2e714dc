"""Supports: what they contain, how they encode it, which errors they raise."""

import math

import numpy as np
import pytest
import torch

from components.distributions import Categorical
from components.supports import Bins, Interval, Tokens


def test_only_what_can_happen_is_contained():
    assert Tokens(3).contains(torch.tensor([-1, 0, 2, 3])).tolist() == [False, True, True, False]
    values = torch.tensor([-1.1, -1.0, 2.0, math.inf, math.nan])
    inside = [False, True, True, False, False]
    assert Interval(-1, 2).contains(values).tolist() == inside
    assert Bins((-1.0, 0.0, 2.0)).contains(values).tolist() == inside
    pairs = torch.tensor([[0.0, 1.0], [0.0, 3.0]])
    assert Interval(-1, 2, (2,)).contains(pairs).tolist() == [True, False]


def test_networks_read_tokens_as_one_hot_and_bounds_as_one():
    assert Tokens(3).encode(torch.tensor([[2]])).tolist() == [[[0.0, 0.0, 1.0]]]
    for support in (Interval(-1, 3), Bins((-1.0, 0.5, 3.0))):
        assert support.encode(torch.tensor([-1.0, 1.0, 3.0])).tolist() == [[-1.0], [0.0], [1.0]]
        assert support.width == 1
    assert Interval(-1, 3, (2, 3)).encode(torch.zeros(5, 2, 3)).shape == (5, 6)


def test_a_uniform_distribution_on_cells_has_the_density_of_the_interval():
    cells = Interval(-1, 3, (2,)).divide(7)
    distribution = cells.distribution(Categorical(torch.zeros(4, 2, 7)), torch.device("cpu"))
    assert (distribution.batch_shape, distribution.event_shape) == ((4,), (2,))
    density = distribution.log_prob(torch.rand(4, 2))
    torch.testing.assert_close(density, torch.full((4,), -2 * math.log(4)))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Tokens(0), "size=0"),
        (lambda: Tokens(5).divide(3), "drop bins=3"),
        (lambda: Interval(1, 1), r"\[1, 1\]"),
        (lambda: Interval(0, math.inf), r"\[0, inf\]"),
        (lambda: Interval(0, 1).divide(0), "bins=0"),
        (lambda: Bins((0.0,)), "got 1 that begin"),
        (lambda: Bins((0.0, 1.0, 1.0)), "got 3 that begin"),
        (lambda: Bins((0.0, math.nan)), "got 2 that begin"),
        (lambda: Bins((0.0, 1.0)).divide(3), "drop bins=3"),
        (lambda: Tokens("5"), "size='5' is not a number"),
        (lambda: Tokens(2.5), "size=2.5 is not a whole number"),
        (lambda: Interval(None, 1), "low=None is not a number"),
        (lambda: Interval(0, 1).divide(2.5), "bins=2.5 is not a whole number"),
        (lambda: Interval(0, 1, ("a",)), "shape='a' is not a number"),
    ],
)
def test_mistakes_end_in_one_sentence(make, said):
    with pytest.raises(ValueError, match=said + r"[^\n]*\.$"):
        make()


def test_numbers_of_arrays_become_plain():
    """A checkpoint holds them, which is read without the classes of numpy."""
    values = np.linspace(0, 1, 3)
    support, bins = Interval(values.min(), torch.tensor(1.0), np.array([2])), Bins(values)
    assert (support, bins) == (Interval(0.0, 1.0, (2,)), Bins((0.0, 0.5, 1.0)))
    plain = (support.low, support.high, *bins.edges)
    assert {type(value) for value in plain} == {float}
    assert {type(value) for value in (*support.shape, Tokens(np.int64(4)).size)} == {int}


def test_cells_that_float32_cannot_tell_apart_are_refused():
    """Their widths would be 0, or twice what they are, and so would be the densities."""
    assert Interval(1e6, 1e6 + 100).divide(100).size == 100
    with pytest.raises(ValueError, match="also in float32"):
        Interval(1e6, 1e6 + 100).divide(4096)
