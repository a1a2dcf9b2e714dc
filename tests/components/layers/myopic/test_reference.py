"""Attention that is written out, against a loop, finite differences and torch's own."""

import math

import pytest
import torch

from components.layers.attention import ScaledDotProduct
from components.layers.key_value import KeyValue
from components.layers.masks import Mask
from components.layers.myopic.reference import diagonal_attention


def draw(queries, keys, groups, width=3):
    torch.manual_seed(0)
    made = [torch.randn(2, 4, queries, width, dtype=torch.float64)]
    made += [torch.randn(2, groups, n, width, dtype=torch.float64) for n in (queries, keys) * 2]
    asks, own_keys, past_keys, own_values, past_values = made
    return asks, KeyValue(own_keys, own_values), KeyValue(past_keys, past_values)


@pytest.mark.parametrize(("queries", "keys"), [(5, 5), (2, 5), (1, 5), (1, 1)])
@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("masked", [False, True])
def test_equals_a_loop(queries, keys, groups, masked):
    asks, own, past = draw(queries, keys, groups)
    start = keys - queries
    sees = torch.ones(2, queries, keys, dtype=torch.bool)
    if masked:
        sees = (torch.rand(2, queries, keys) > 0.5) | torch.eye(keys, dtype=torch.bool)[start:]
    expected = torch.zeros(2, 4, queries, 3, dtype=torch.float64)
    for b in range(2):
        for h in range(4):
            g = h * groups // 4
            for t in range(queries):
                shown = [
                    (own.keys[b, g, t], own.values[b, g, t])
                    if s == start + t
                    else (past.keys[b, g, s], past.values[b, g, s])
                    for s in range(keys)
                    if sees[b, t, s]
                ]
                match = [math.exp(0.6 * float(asks[b, h, t] @ key)) for key, _ in shown]
                for weight, (_, value) in zip(match, shown, strict=True):
                    expected[b, h, t] += weight / sum(match) * value
    attention = Mask(sees[:, None]) if masked else Mask()
    found = diagonal_attention(asks, own, past, attention, scale=0.6)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_gradients_equal_finite_differences():
    given = [each.requires_grad_() for each in (lambda a, o, p: (a, *o, *p))(*draw(3, 3, 2))]

    def attend(asks, own_keys, own_values, past_keys, past_values):
        own, past = KeyValue(own_keys, own_values), KeyValue(past_keys, past_values)
        return diagonal_attention(asks, own, past, Mask(causal=True))

    assert torch.autograd.gradcheck(attend, given, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("autocast", [False, True])
def test_equal_streams_give_ordinary_attention(dtype, autocast):
    asks, own, _ = draw(7, 7, 2)
    asks, own = asks.to(dtype), KeyValue(*(each.to(dtype) for each in own))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = diagonal_attention(asks, own, own, Mask(causal=True))
        expected = ScaledDotProduct()(asks, own, own, Mask(causal=True))
    assert found.dtype == expected.dtype
    close = 2 * torch.finfo(found.dtype).eps
    torch.testing.assert_close(found, expected, rtol=close, atol=close)


def test_both_streams_share_what_is_dropped():
    torch.manual_seed(0)
    asks, own, past = draw(6, 6, 4)
    exact = diagonal_attention(asks, own, past, Mask(causal=True))
    draws = torch.stack(
        [diagonal_attention(asks, own, past, Mask(causal=True), 0.5) for _ in range(1000)]
    )
    torch.testing.assert_close(draws.mean(0), exact, rtol=0, atol=0.3)
    alone = draws[:, :, :, 0] / own.values[:, :, 0]  # the first position has itself alone
    torch.testing.assert_close(alone, alone.round())
    assert alone.unique().round().tolist() == [0.0, 2.0]
