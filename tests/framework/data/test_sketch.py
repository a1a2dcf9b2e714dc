"""A sketch recognizes other examples, and not the last digits of another processor."""

import json

import pytest
import torch

from components.data import DensityBatch, TokenBatch
from framework.data import sketch
from framework.data.module import InMemory
from framework.data.sampling import ENDLESS


def tokens(size, shift=0):
    ids = (torch.arange(size * 8).view(size, 8) * 7 + shift) % 97
    return InMemory(TokenBatch(ids, ids.roll(-1, 1), torch.ones(size, 8)))


def real(size, factor=1.0):
    x = torch.linspace(-1, 1, size)[:, None]
    return InMemory(DensityBatch(x, factor * torch.sin(7 * x), torch.ones_like(x)))


def names(one, other):
    drawn = (json.loads(json.dumps(sketch.draw(data))) for data in (one, other))
    return [name for name, *_ in sketch.compare(*drawn)]


@pytest.mark.parametrize("size", [1, 2, 31, 32, 1000])
def test_equal_examples_have_equal_sketches(size):
    assert names(tokens(size), tokens(size)) == names(real(size), real(size)) == []


def test_other_examples_are_recognized_by_what_differs():
    assert names(tokens(100), tokens(50)) == ["examples"]
    assert names(tokens(100), tokens(100, shift=1)) == ["sample of tokens", "sample of target"]
    assert names(real(100), real(100, 1.001)) == ["sample of target"]
    assert names(real(100), tokens(100))[0] == "sample of features"


def test_rounding_is_no_difference():
    exact, rounded = real(1000), real(1000)
    rounded.batch = DensityBatch(*(x * (1 + 2e-7) for x in exact.batch))
    assert names(exact, rounded) == []
    swapped = real(1000)
    swapped.batch = DensityBatch(*(x.flip(0) for x in swapped.batch))
    assert names(exact, swapped) == ["sample of features", "sample of target"]


def test_examples_without_end_are_sketched_too():
    class Endless(InMemory):
        def __len__(self):
            return ENDLESS

        def __getitems__(self, indices):
            assert (len(indices), indices[0], indices[-1]) == (32, 0, ENDLESS - 1)
            return super().__getitems__([index % 10 for index in indices])

    data = Endless(tokens(10).batch)
    assert sketch.draw(data)["examples"] == ENDLESS
    assert names(data, data) == []
