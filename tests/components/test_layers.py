"""Layers against loops, closed forms and torch's own."""

import math

import pytest
import torch
from torch import nn

from components.layers.attention import Attention, CrossAttention, ScaledDotProduct
from components.layers.block import Block, PointwiseBlock
from components.layers.cache import Cache
from components.layers.feedforward import FeedForward, Pointwise, SwiGLU
from components.layers.linear import Embedding, Linear, residual_std
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned, NoPositions, Rotary
from components.layers.standardize import Standardize
from components.layers.visibility import Visible, places, visible

CPU = torch.device("cpu")


def attend(queries, keys, values, sees):
    """Averages values by a softmax, one query at a time."""
    batch, heads, size, width = queries.shape
    share = heads // keys.shape[1]
    out = torch.zeros(batch, heads, size, values.shape[-1], dtype=queries.dtype)
    for b in range(batch):
        for h in range(heads):
            for q in range(size):
                weights = {
                    k: math.exp(queries[b, h, q] @ keys[b, h // share, k] / math.sqrt(width))
                    for k in range(keys.shape[2])
                    if sees(b, q, k)
                }
                for k, weight in weights.items():
                    out[b, h, q] += weight / sum(weights.values()) * values[b, h // share, k]
    return out


@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("rule", ["all", "causal", "mask"])
def test_scaled_dot_product_equals_a_loop(groups, rule):
    torch.manual_seed(0)
    queries = torch.randn(2, 4, 5, 3, dtype=torch.float64)
    keys, values = torch.randn(2, 2, groups, 5, 3, dtype=torch.float64)
    mask = (torch.rand(2, 1, 5, 5) > 0.4) | torch.eye(5, dtype=torch.bool)
    sight, sees = {
        "all": (Visible(), lambda b, q, k: True),
        "causal": (Visible(causal=True), lambda b, q, k: k <= q),
        "mask": (Visible(mask), lambda b, q, k: mask[b, 0, q, k]),
    }[rule]
    result = ScaledDotProduct()(queries, keys, values, sight)
    torch.testing.assert_close(result, attend(queries, keys, values, sees), rtol=0, atol=1e-12)


@torch.no_grad()
def test_attention_projects_reads_and_joins_heads():
    torch.manual_seed(0)
    dim, heads, groups, width = 12, 4, 2, 3
    layer = Attention(dim, heads, groups, rotate=NoPositions(dim, heads).rotate).double()
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
    result = layer(hidden, index, Visible(causal=True))
    torch.testing.assert_close(result, expected, rtol=0, atol=1e-12)


def test_attention_agrees_with_torch():
    torch.manual_seed(0)
    ours = Attention(12, 3, rotate=NoPositions(12, 3).rotate)
    theirs = nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat((ours.query.weight, ours.key_value.weight)))
        theirs.out_proj.weight.copy_(ours.out.weight)
    hidden = torch.randn(2, 5, 12)
    later = torch.ones(5, 5, dtype=torch.bool).triu(1)
    expected, _ = theirs(hidden, hidden, hidden, attn_mask=later)
    result = ours(hidden, torch.arange(5)[None], Visible(causal=True))
    torch.testing.assert_close(result, expected, rtol=1e-5, atol=1e-7)


def test_a_projection_stands_in_front_of_queries_keys_and_values():
    class Double(Pointwise):
        def __init__(self, dim):
            super().__init__()
            self.calls = 0

        def forward(self, hidden):
            self.calls += 1
            return 2 * hidden

    torch.manual_seed(0)
    rotate = Rotary(8, 2).rotate
    plain, doubled = (
        Attention(8, 2, rotate=rotate),
        Attention(8, 2, rotate=rotate, projection=Double),
    )
    doubled.load_state_dict(plain.state_dict())
    hidden, index = torch.randn(2, 5, 8), torch.arange(5)[None]
    result = doubled(hidden, index, Visible(causal=True))
    torch.testing.assert_close(result, plain(2 * hidden, index, Visible(causal=True)))
    assert doubled.projection.calls == 1


def test_an_operator_can_be_replaced():
    class Last(ScaledDotProduct):
        def forward(self, queries, keys, values, visible):
            return values

    layer = Attention(8, 2, rotate=Rotary(8, 2).rotate, attention=Last)
    hidden = torch.randn(2, 5, 8)
    value = layer.key_value.weight[8:]
    result = layer(hidden, torch.arange(5)[None], Visible(causal=True))
    torch.testing.assert_close(result, hidden @ value.T @ layer.out.weight.T)


def test_attention_drops_weights_in_training_only():
    torch.manual_seed(0)
    operator = ScaledDotProduct(dropout=0.5)
    vectors = torch.randn(1, 1, 6, 4)
    exact = ScaledDotProduct()(vectors, vectors, vectors, Visible())
    draws = torch.stack([operator(vectors, vectors, vectors, Visible()) for _ in range(2000)])
    torch.testing.assert_close(draws.mean(0), exact, rtol=0, atol=0.1)
    assert draws.std(0).min() > 0.05
    assert torch.equal(operator.eval()(vectors, vectors, vectors, Visible()), exact)


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
def test_visibility_equals_its_definition(queries, prefix, padded):
    keys = 7
    key_mask = torch.rand(2, keys) > 0.5 if padded else None
    mask, causal = visible(queries, keys, prefix, key_mask, CPU)
    assert not (causal and mask is not None)
    for b in range(2):
        for q in range(queries):
            at = keys - queries + q
            for k in range(keys):
                past = k <= at or k < prefix
                expected = k == at or (past and (key_mask is None or bool(key_mask[b, k])))
                shown = True if mask is None else mask[b % len(mask), 0, q, k].item()
                assert (k <= q if causal else shown) == expected


def test_a_mask_is_built_only_where_it_is_needed():
    assert visible(7, 7, 0, None, CPU) == Visible(causal=True)
    assert visible(7, 7, 7, None, CPU) == Visible()
    assert visible(1, 7, 0, None, CPU) == Visible()
    assert visible(3, 7, 0, None, CPU).mask is not None


def test_places_count_what_is_not_padding():
    mask = torch.tensor([[0, 0, 1, 1], [1, 0, 1, 1]]).bool()
    assert places(4, 4, mask, CPU).tolist() == [[0, 0, 0, 1], [0, 0, 1, 2]]
    assert places(2, 4, mask, CPU).tolist() == [[0, 1], [1, 2]]
    assert places(2, 4, None, CPU).tolist() == [[2, 3]]


def test_rotary_equals_multiplication_by_a_complex_phase():
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 2, 3, 5, 8, dtype=torch.float64)
    index = torch.randint(100, (2, 5))
    turned = Rotary(24, 3, theta=50.0).rotate(queries, keys, index)
    for before, after in zip((queries, keys), turned, strict=True):
        planes = torch.complex(before[..., :4], before[..., 4:])
        speed = torch.tensor([50.0 ** (-2 * i / 8) for i in range(4)], dtype=torch.float64)
        phases = torch.exp(1j * index[:, None, :, None] * speed)
        expected = torch.cat(((planes * phases).real, (planes * phases).imag), -1)
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-12)


def test_rotary_shows_attention_only_distances():
    torch.manual_seed(0)
    rotary = Rotary(16, 2)
    queries, keys = torch.randn(2, 1, 2, 6, 8, dtype=torch.float64)
    index = torch.arange(6)[None]

    def scores(shift):
        turned_queries, turned_keys = rotary.rotate(queries, keys, index + shift)
        return turned_queries @ turned_keys.mT

    torch.testing.assert_close(scores(0), scores(1000), rtol=0, atol=1e-10)
    assert (scores(0) - queries @ keys.mT).abs().max() > 0.1


def test_rotary_turns_in_float32_also_in_half_precision():
    queries = torch.zeros(1, 1, 1, 2, dtype=torch.bfloat16)
    queries[..., 0] = 1
    turned, _ = Rotary(2, 1).rotate(queries, queries, torch.tensor([[1001]]))
    assert turned.dtype == torch.bfloat16
    expected = torch.tensor([math.cos(1001), math.sin(1001)]).bfloat16()
    torch.testing.assert_close(turned[0, 0, 0], expected)  # 1001 itself is no bfloat16


def test_learned_positions_are_added():
    positions = Learned(4, 1, length=6)
    states, index = torch.randn(2, 3, 4), torch.tensor([[0, 1, 2], [3, 4, 5]])
    expected = states + positions.table.weight.view(2, 3, 4)
    torch.testing.assert_close(positions(states, index), expected)
    queries = torch.randn(2, 1, 3, 4)
    assert all(x is queries for x in positions.rotate(queries, queries, index))


@pytest.mark.parametrize("make", [RMSNorm, LayerNorm])
def test_norms_equal_their_formulas(make):
    torch.manual_seed(0)
    norm = make(dim=5, eps=0.1).double()
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    hidden = torch.randn(2, 3, 5, dtype=torch.float64)
    centered = hidden - hidden.mean(-1, keepdim=True) if make is LayerNorm else hidden
    expected = centered / (centered.square().mean(-1, keepdim=True) + 0.1).sqrt() * norm.weight
    expected = expected + norm.bias if make is LayerNorm else expected
    torch.testing.assert_close(norm(hidden), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [RMSNorm, LayerNorm])
@pytest.mark.parametrize("weights", [torch.float32, torch.bfloat16])
def test_norms_of_half_precision_are_computed_in_float32(make, weights):
    torch.manual_seed(0)
    norm = make(dim=64).to(weights)
    hidden = (100 + torch.randn(4, 64)).bfloat16()
    exact = make(dim=64).double()(hidden.double())
    assert torch.equal(norm(hidden), exact.to(torch.bfloat16))


def test_feedforward_equals_torch():
    torch.manual_seed(0)
    ours = FeedForward(4, hidden=6, activation=nn.ReLU, bias=True).double()
    theirs = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4)).double()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    hidden = torch.randn(2, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(ours(hidden), theirs(hidden))


def test_swiglu_equals_its_formula():
    torch.manual_seed(0)
    layer = SwiGLU(4, hidden=6).double()
    hidden = torch.randn(2, 3, 4, dtype=torch.float64)
    up, gate = layer.up_gate.weight.split(6)
    bent = hidden @ gate.T / (1 + torch.exp(-hidden @ gate.T))
    expected = (bent * (hidden @ up.T)) @ layer.down.weight.T
    torch.testing.assert_close(layer(hidden), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [24, 64, 100])
def test_both_networks_cost_about_the_same(dim):
    sizes = [sum(p.numel() for p in make(dim).parameters()) for make in (FeedForward, SwiGLU)]
    assert sizes[0] == 8 * dim**2
    assert sizes[0] <= sizes[1] < sizes[0] + 3 * dim * 8


def test_a_block_adds_what_its_parts_make_of_the_normed_stream():
    torch.manual_seed(0)
    rotate = Rotary(8, 2).rotate
    block = Block(
        8, Attention(8, 2, rotate=rotate), SwiGLU(8), LayerNorm, cross=CrossAttention(8, 2)
    )
    stream, context, index = torch.randn(2, 5, 8), torch.randn(2, 4, 8), torch.arange(5)[None]
    sight = Visible(causal=True)
    expected = stream + block.attention(block.attention_norm(stream), index, sight)
    expected = expected + block.cross(block.cross_norm(expected), context)
    expected = expected + block.feedforward(block.feedforward_norm(expected))
    torch.testing.assert_close(block(stream, index, sight, context=context), expected)


def test_a_pointwise_block_adds_what_its_network_makes():
    block = PointwiseBlock(8, FeedForward(8), RMSNorm)
    stream = torch.randn(2, 5, 8)
    torch.testing.assert_close(block(stream), stream + block.feedforward(block.norm(stream)))


def test_a_slot_returns_everything_it_was_given():
    torch.manual_seed(0)
    slot = Cache(1, 2, 6).slots[0]
    keys, values = torch.randn(2, 2, 3, 6, 4)
    for start, stop in ((0, 3), (3, 4), (4, 6)):
        kept = slot.extend(keys[:, :, start:stop], values[:, :, start:stop])
        assert torch.equal(kept[0], keys[:, :, :stop])
        assert torch.equal(kept[1], values[:, :, :stop])


def test_a_repeated_cache_shares_nothing_with_the_original():
    cache = Cache(1, 2, 4)
    mask = torch.tensor([[False, True], [True, True]])
    cache.grow(torch.zeros(2, 2, 8), mask)
    cache.slots[0].extend(torch.ones(2, 1, 2, 8), torch.ones(2, 1, 2, 8))
    copy = cache.repeat(3)
    copy.slots[0].keys.zero_()
    assert cache.slots[0].keys[:, :, :2].all()
    grown = copy.grow(torch.zeros(6, 1, 8), None)
    assert torch.equal(grown[:, :2], mask.repeat_interleave(3, 0))
    assert grown[:, 2].all()
    assert cache.mask.shape == (2, 2)


@pytest.mark.parametrize("std", [0.02, 0.5])
def test_linear_and_embedding_start_from_normals(std):
    torch.manual_seed(0)
    linear, embedding = Linear(200, 100, std=std), Embedding(200, 100, std=std)
    for weight in (linear.weight, embedding.weight):
        assert weight.std().item() == pytest.approx(std, rel=0.02)
        assert weight.mean().item() == pytest.approx(0, abs=0.05 * std)
    assert not linear.bias.any()


def test_residual_outputs_add_up_to_the_same_size_at_any_depth():
    for writers in (2, 32):
        assert writers * residual_std(writers) ** 2 == pytest.approx(0.02**2)


def test_standardize_equals_its_formula():
    values = torch.tensor([[1.0, 2.0], [3.0, -1e6]])
    standardize = Standardize([1.0, 0.0], [2.0, 0.5], [2])
    expected = [[0.0, math.asinh(4.0)], [math.asinh(1.0), math.asinh(-2e6)]]
    torch.testing.assert_close(standardize(values), torch.tensor(expected))
    assert not standardize.state_dict()
