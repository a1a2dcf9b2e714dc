"""Attention and its masks, against loops, definitions and torch's own."""

import math

import pytest
import torch
from torch import nn

from components.layers.attention import Attention, ScaledDotProduct
from components.layers.cross import CrossAttention
from components.layers.feedforward import PositionWise
from components.layers.key_value import BranchedKeyValue, KeyValue
from components.layers.masks import Mask, attention_mask, position_indices
from components.layers.positions import NoPositions, Rotary

CPU = torch.device("cpu")


def attend(queries, keys, values, sees):
    """Averages values by a softmax, one query at a time."""
    batch, heads, size, width = queries.shape
    group = heads // keys.shape[1]
    out = torch.zeros(batch, heads, size, values.shape[-1], dtype=queries.dtype)
    for b in range(batch):
        for h in range(heads):
            for q in range(size):
                weights = {
                    k: math.exp(queries[b, h, q] @ keys[b, h // group, k] / math.sqrt(width))
                    for k in range(keys.shape[2])
                    if sees(b, q, k)
                }
                for k, weight in weights.items():
                    out[b, h, q] += weight / sum(weights.values()) * values[b, h // group, k]
    return out


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("rule", ["all", "causal", "mask"])
def test_scaled_dot_product_equals_a_loop(groups, rule):
    torch.manual_seed(0)
    queries = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    shown = KeyValue(*torch.randn(2, 2, groups, 5, 3, dtype=torch.float64))
    mask = (torch.rand(2, 1, 5, 5) > 0.4) | torch.eye(5, dtype=torch.bool)
    attention, sees = {
        "all": (Mask(), lambda b, q, k: True),
        "causal": (Mask(causal=True), lambda b, q, k: k <= q),
        "mask": (Mask(mask), lambda b, q, k: mask[b, 0, q, k]),
    }[rule]
    result = ScaledDotProduct()(queries, shown, shown, attention)
    torch.testing.assert_close(result, attend(queries, *shown, sees), rtol=0, atol=1e-12)


@torch.no_grad()
def test_attention_projects_reads_and_joins_heads():
    torch.manual_seed(0)
    dim, heads, groups, width = 12, 4, 2, 3
    layer = Attention(dim, heads, groups, rotate=NoPositions(dim, heads, width).rotate).double()
    hidden = torch.randn(2, 5, dim, dtype=torch.float64)
    index = torch.arange(5)[None]

    def cut(matrix, head):
        return hidden @ matrix[head * width : (head + 1) * width].T

    key, value = layer.key_value.weight.split(groups * width)
    queries = torch.stack([cut(layer.query.weight, h) for h in range(heads)], 1)
    keys = torch.stack([cut(key, g) for g in range(groups)], 1)
    values = torch.stack([cut(value, g) for g in range(groups)], 1)
    gathered = attend(queries, keys, values, lambda b, q, k: k <= q)
    expected = torch.cat(gathered.unbind(1), -1) @ layer.out.weight.T
    result = layer(hidden, index, Mask(causal=True))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def test_attention_agrees_with_torch():
    torch.manual_seed(0)
    ours = Attention(12, 3, rotate=NoPositions(12, 3, 4).rotate)
    theirs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat((ours.query.weight, ours.key_value.weight)))
        theirs.out_proj.weight.copy_(ours.out.weight)
    hidden = torch.randn(2, 5, 12)
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected, _ = theirs(hidden, hidden, hidden, attn_mask=later)
    result = ours(hidden, torch.arange(5)[None], Mask(causal=True))
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-7)


def test_a_projection_stands_in_front_of_queries_keys_and_values():
    class Double(PositionWise):
        def __init__(self, dim):
            super().__init__()
            self.calls = 0

        def forward(self, hidden):
            self.calls += 1
            return 2 * hidden

    torch.manual_seed(0)
    rotate = Rotary(8, 2, 4).rotate
    plain, doubled = (
        Attention(8, 2, rotate=rotate),
        Attention(8, 2, rotate=rotate, projection=Double),
    )
    doubled.load_state_dict(plain.state_dict())
    hidden, index = torch.randn(2, 5, 8), torch.arange(5)[None]
    result = doubled(hidden, index, Mask(causal=True))
    torch.testing.assert_close(result, plain(2 * hidden, index, Mask(causal=True)))
    assert doubled.projection.calls == 1


def test_an_operator_can_be_replaced():
    class Last(ScaledDotProduct):
        def forward(self, queries, own, past, mask):
            assert own.keys is past.keys
            return own.values

    layer = Attention(8, 2, rotate=Rotary(8, 2, 4).rotate, attention=Last)
    hidden = torch.randn(2, 5, 8)
    value = layer.key_value.weight[8:]
    result = layer(hidden, torch.arange(5)[None], Mask(causal=True))
    torch.testing.assert_close(result, hidden @ value.T @ layer.out.weight.T)


def test_attention_drops_weights_in_training_only():
    torch.manual_seed(0)
    operator = ScaledDotProduct(dropout=0.5)
    vectors = torch.randn(1, 1, 6, 4)
    shown = KeyValue(vectors, vectors)
    exact = ScaledDotProduct()(vectors, shown, shown, Mask())
    draws = torch.stack([operator(vectors, shown, shown, Mask()) for _ in range(2000)])
    torch.testing.assert_close(draws.mean(0), exact, rtol=0, atol=0.1)
    assert draws.std(0).min() > 0.05
    assert torch.equal(operator.eval()(vectors, shown, shown, Mask()), exact)


def test_cross_attention_equals_a_loop_and_reads_zeros_where_there_is_nothing():
    torch.manual_seed(0)
    layer = CrossAttention(6, 2).double()
    hidden = torch.randn(3, 4, 6, dtype=torch.float64)
    context = torch.randn(3, 5, 6, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 0, 0]]).bool()

    def cut(x, matrix):
        return (x @ matrix.T).view(3, -1, 2, 3).transpose(1, 2)

    key, value = layer.key_value.weight.split(6)
    parts = cut(hidden, layer.query.weight), cut(context, key), cut(context, value)
    gathered = attend(*(x.detach() for x in parts), lambda b, q, k: mask[b, k])
    result = layer(hidden, context, mask)
    expected = gathered.transpose(1, 2).flatten(2) @ layer.out.weight.T
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)
    assert not result[2].any()
    (gradient,) = torch.autograd.grad(result.sum(), context)
    assert not gradient[~mask].any()
    assert gradient[mask].any()


@pytest.mark.parametrize("queries", [1, 3, 7])
@pytest.mark.parametrize("prefix", [0, 2, 7])
@pytest.mark.parametrize("padded", [False, True])
def test_attention_mask_equals_its_definition(queries, prefix, padded):
    keys = 7
    key_mask = torch.rand(2, keys) > 0.5 if padded else None
    mask, causal, *_ = attention_mask(queries, keys, prefix, key_mask, CPU)
    assert not (causal and mask is not None)
    for b in range(2):
        for q in range(queries):
            at = keys - queries + q
            for k in range(keys):
                past = k <= at or k < prefix
                expected = k == at or (past and (key_mask is None or bool(key_mask[b, k])))
                shown = True if mask is None else mask[b % len(mask), 0, q, k].item()
                assert (k <= q if causal else shown) == expected


def test_a_matrix_is_built_only_where_it_is_needed():
    assert attention_mask(7, 7, 0, None, CPU) == Mask(causal=True)
    assert attention_mask(7, 7, 7, None, CPU) == Mask()
    assert attention_mask(1, 7, 0, None, CPU) == Mask()
    assert attention_mask(3, 7, 0, None, CPU).matrix is not None


def test_indices_count_positions_without_padding():
    mask = torch.tensor([[0, 0, 1, 1], [1, 0, 1, 1]]).bool()
    assert position_indices(4, 4, mask, CPU).tolist() == [[0, 0, 0, 1], [0, 0, 1, 2]]
    assert position_indices(2, 4, mask, CPU).tolist() == [[0, 1], [1, 2]]
    assert position_indices(2, 4, None, CPU).tolist() == [[2, 3]]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kind", ["all", "matrix", "bias"])
@pytest.mark.parametrize(("scale", "cap"), [(None, None), (0.7, None), (0.7, 1.5)])
def test_shared_keys_are_read_like_copies_of_them(groups, kind, scale, cap):
    """Against torch's own attention to keys and values that are repeated for every example."""
    torch.manual_seed(0)
    samples, queries = 3, torch.randn(6, 4, 2, 8, dtype=torch.float64)
    shared = tuple(torch.randn(2, 2, groups, 5, 8, dtype=torch.float64))
    own = tuple(torch.randn(2, 6, groups, 4, 8, dtype=torch.float64))
    copies = (
        torch.cat((part.repeat_interleave(samples, 0), mine), 2)
        for part, mine in zip(shared, own, strict=True)
    )
    sees = torch.rand(6, 1, 2, 9) > 0.4
    sees[..., 0] = True
    bias = torch.randn(6, 4, 2, 9, dtype=torch.float64)
    mask = {"all": Mask(), "matrix": Mask(sees), "bias": Mask(bias.masked_fill(~sees, -math.inf))}
    operator = ScaledDotProduct(scale=scale, cap=cap)
    whole, branched = KeyValue(*copies), BranchedKeyValue.of(shared, own)
    expected = operator(queries, whole, whole, mask[kind])
    found = operator(queries, branched, branched, mask[kind])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mask", [Mask(), Mask(causal=True)])
def test_a_cap_bounds_the_scores(mask):
    torch.manual_seed(0)
    queries, (keys, values) = 3 * torch.randn(2, 4, 5, 8), torch.randn(2, 2, 2, 5, 8)
    scores = queries @ keys.repeat_interleave(2, 1).mT / 8**0.5
    capped = 1.5 * torch.tanh(scores / 1.5)
    if mask.causal:
        capped = capped.masked_fill(~torch.ones(5, 5, dtype=torch.bool).tril(), -math.inf)
    past = KeyValue(keys, values)
    found = ScaledDotProduct(cap=1.5)(queries, past, past, mask)
    torch.testing.assert_close(found, capped.softmax(-1) @ values.repeat_interleave(2, 1))
    none, high = (ScaledDotProduct(cap=x)(queries, past, past, mask) for x in (None, 1e4))
    torch.testing.assert_close(none, high)
    with pytest.raises(ValueError, match="cap=0 is not positive; use null"):
        ScaledDotProduct(cap=0)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize(("queries", "prefix"), [(6, 0), (2, 0), (1, 0), (6, 2)])
def test_a_window_hides_what_lies_before_it(queries, prefix, padded):
    keys, window = 6, 3
    key_mask = torch.arange(keys) >= torch.tensor([[0], [2]]) if padded else None
    whole = attention_mask(queries, keys, prefix, key_mask, CPU)
    positions = position_indices(keys, keys, key_mask, CPU)
    seen = whole.within(window, positions, queries).as_matrix(queries, keys, CPU)
    before = whole.as_matrix(queries, keys, CPU)
    for example in range(2 if padded else 1):
        for q in range(queries):
            for k in range(keys):
                near = positions[example, keys - queries + q] - positions[example, k] < window
                was = True if before is None else before[example, 0, q, k]
                assert seen[example, 0, q, k] == (near and was)
    assert whole.within(keys, positions, queries) is whole
    assert whole.within(None, positions, queries) is whole
