"""Layers against loops, closed forms and torch's own."""

import itertools
import math

import pytest
import torch
from torch import nn

from components.backbones.positionwise import PositionWiseBlock
from components.layers.attention import Attention
from components.layers.cache import Cache
from components.layers.cross import CrossAttention, CrossBlock
from components.layers.feedforward import FeedForward, SwiGLU
from components.layers.linear import Embedding, Linear, residual_std
from components.layers.masks import Mask
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned, RelativeBias, Rotary
from components.stems.observations import Standardize
from tests.waiting import Waits

CPU = torch.device("cpu")


def test_rotary_equals_multiplication_by_a_complex_phase():
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 2, 3, 5, 8, dtype=torch.float64)
    index = torch.randint(100, (2, 5))
    turned = Rotary(24, 3, 8, theta=50.0).rotate(queries, keys, index)
    for before, after in zip((queries, keys), turned, strict=True):
        planes = torch.complex(before[..., :4], before[..., 4:])
        speed = torch.tensor([50.0 ** (-2 * i / 8) for i in range(4)], dtype=torch.float64)
        phases = torch.exp(1j * index[:, None, :, None] * speed)
        expected = torch.cat(((planes * phases).real, (planes * phases).imag), -1)
        torch.testing.assert_close(after, expected, rtol=0, atol=1e-12)


def test_rotary_shows_attention_only_distances():
    torch.manual_seed(0)
    rotary = Rotary(16, 2, 8)
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
    turned, _ = Rotary(2, 1, 2).rotate(queries, queries, torch.tensor([[1001]]))
    assert turned.dtype == torch.bfloat16
    expected = torch.tensor([math.cos(1001), math.sin(1001)]).bfloat16()
    torch.testing.assert_close(turned[0, 0, 0], expected)  # 1001 itself is no bfloat16


def test_tables_of_rotations_are_repeated_for_each_head_on_cpus_alone():
    copies = {}
    for device in ("cpu", "meta"):
        queries = torch.zeros(2, 4, 6, 8, device=device, requires_grad=True)
        with Waits() as waits:
            turned, _ = Rotary(32, 4, 8).rotate(
                queries, queries, torch.arange(6, device=device)[None]
            )
            turned.sum().backward()
        copies[device] = waits.counts[torch.ops.aten.clone]
    assert copies["meta"] == 0 < copies["cpu"]


def test_learned_positions_are_added():
    positions = Learned(4, 1, 4, length=6)
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
    rotate = Rotary(8, 2, 4).rotate
    block = CrossBlock(
        8, Attention(8, 2, rotate=rotate), CrossAttention(8, 2), SwiGLU(8), LayerNorm
    )
    stream, context, index = torch.randn(2, 5, 8), torch.randn(2, 4, 8), torch.arange(5)[None]
    mask = Mask(causal=True)
    expected = stream + block.attention(block.attention_norm(stream), index, mask)
    expected = expected + block.cross(block.cross_norm(expected), context)
    expected = expected + block.feedforward(block.feedforward_norm(expected))
    torch.testing.assert_close(block(stream, index, mask, context=context), expected)


def test_a_position_wise_block_adds_what_its_network_makes():
    block = PositionWiseBlock(8, FeedForward(8), RMSNorm)
    stream = torch.randn(2, 5, 8)
    torch.testing.assert_close(block(stream), stream + block.feedforward(block.norm(stream)))


def test_a_layer_cache_returns_everything_it_was_given():
    torch.manual_seed(0)
    layer = Cache(1, 2, 6).layers[0]
    keys, values = torch.randn(2, 2, 3, 6, 4)
    for start, stop in ((0, 3), (3, 4), (4, 6)):
        kept = layer.extend(keys[:, :, start:stop], values[:, :, start:stop])
        assert torch.equal(kept[0], keys[:, :, :stop])
        assert torch.equal(kept[1], values[:, :, :stop])


def test_a_repeated_cache_shares_nothing_with_the_original():
    cache = Cache(1, 2, 4)
    mask = torch.tensor([[False, True], [True, True]])
    cache.grow(torch.zeros(2, 2, 8), mask)
    cache.layers[0].extend(torch.ones(2, 1, 2, 8), torch.ones(2, 1, 2, 8))
    copy = cache.repeat(3)
    new = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 1, 8)
    keys, _ = copy.layers[0].extend(new, new)
    assert torch.equal(keys, torch.cat((torch.ones(6, 1, 2, 8), new), 2))
    again, _ = cache.layers[0].extend(torch.zeros(2, 1, 1, 8), torch.zeros(2, 1, 1, 8))
    assert again[:, :, :2].all()
    assert not again[:, :, 2].any()
    twice, _ = copy.layers[0].repeat().extend(*torch.full((2, 12, 1, 1, 8), 7.0))
    assert torch.equal(twice[:, :, :3], keys.repeat_interleave(2, 0))
    assert (twice[:, :, 3] == 7).all()
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


def test_pixels_share_one_scale_without_asinh():
    pixels = torch.randint(256, (3, 2, 4, 5), dtype=torch.uint8)
    shared = Standardize([0.0], [255.0], [2, 4, 5])
    torch.testing.assert_close(shared(pixels), pixels / 255)
    single = Standardize([0.0], [255.0], [1])  # one component: asinh is applied
    torch.testing.assert_close(single(torch.tensor([510.0])), torch.tensor([math.asinh(2.0)]))


def buckets(distance, bidirectional, size, reach):
    """Returns the bucket of one distance as in the paper: exact, then logarithmic, then last."""
    if bidirectional:
        half = size // 2
        return buckets(abs(distance), False, half, reach) + (half if distance < 0 else 0)
    exact, distance = size // 2, max(distance, 0)
    if distance < exact:
        return distance
    steps = math.log(distance / exact) / math.log(reach / exact) * (size - exact)
    return min(exact + int(steps + 1e-6), size - 1)


@pytest.mark.parametrize(("size", "reach"), [(32, 128), (8, 20), (4, 3)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_relative_biases_bucket_distances_as_a_loop_does(size, reach, bidirectional):
    distance = torch.arange(-300, 301)
    found = RelativeBias(8, 2, 4, size, reach).bucket(distance, bidirectional)
    assert found.tolist() == [buckets(d, bidirectional, size, reach) for d in distance.tolist()]


@pytest.mark.parametrize("mask", [Mask(), Mask(causal=True)])
def test_relative_biases_are_added_where_keys_are_seen(mask):
    positions = RelativeBias(8, 2, 4)
    index = torch.tensor([[0, 1, 2, 3], [0, 0, 0, 1]])
    bias, causal, *others = positions.add_bias(mask, index, 4, bidirectional=False)
    assert not causal
    assert others == [None, None, None]
    for b, h, q, k in itertools.product(range(2), range(2), range(4), range(4)):
        learned = positions.table.weight[max(int(index[b, q] - index[b, k]), 0), h]
        assert bias[b, h, q, k] == (-math.inf if mask.causal and k > q else learned)


@pytest.mark.parametrize("wrong", [{"buckets": 6}, {"buckets": 0}, {"reach": 16}])
def test_relative_biases_refuse_buckets_that_do_not_fill(wrong):
    with pytest.raises(ValueError, match=r"RelativeBias: buckets=.*\.$"):
        RelativeBias(8, 2, 4, **wrong)
