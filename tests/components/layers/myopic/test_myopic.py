"""Myopic attention and its relatives in whole models: same numbers, caches, refusals."""

from functools import partial

import pytest
import torch

from components.backbones import EncoderDecoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.cross import CrossAttention
from components.layers.key_value import KeyValue
from components.layers.masks import Mask
from components.layers.myopic.attention import Bigram, GivenPast, Myopic
from components.layers.myopic.past import frozen
from components.layers.positions import NoPositions, RelativeBias
from tests.components.layers.myopic.every_myopic import (
    BATCH,
    DECODERS,
    DIM,
    HIDDEN,
    SIZE,
    VARIANTS,
    decoder,
    error,
    gradients,
    losses,
    states,
)

every_decoder = pytest.mark.parametrize("options", DECODERS.values(), ids=DECODERS.keys())
every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS.keys())
PADDING = torch.arange(SIZE) >= torch.tensor([[2], [0]])


def pair(variant, options, dtype=torch.float64):
    """Builds a myopic decoder and an ordinary one, of the same parameters."""
    myopic, ordinary = decoder(variant, dtype, **options), decoder(dtype=dtype, **options)
    assert list(myopic.state_dict()) == list(ordinary.state_dict())
    ordinary.load_state_dict(myopic.state_dict())
    return myopic, ordinary


@every_variant
def test_documents_are_kept_apart_as_by_ordinary_attention(variant):
    myopic, ordinary = pair(variant, {})
    documents = (torch.arange(SIZE) >= torch.tensor([[2], [4]])).long()
    given = Embedded(states(), documents=documents)
    assert torch.equal(myopic(given), ordinary(given))
    assert not torch.equal(ordinary(given), ordinary(given._replace(documents=None)))


@every_decoder
@every_variant
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_goes_forward_is_bit_by_bit_what_ordinary_attention_computes(options, variant, dtype):
    myopic, ordinary = pair(variant, options, dtype)
    context = torch.randn(BATCH, 3, DIM).to(dtype)
    plain = Embedded(states(dtype))
    for given in (plain, plain._replace(mask=PADDING), plain._replace(context=context)):
        assert torch.equal(myopic(given), ordinary(given))
        with torch.no_grad():
            assert torch.equal(myopic(given), ordinary(given))


@every_decoder
@every_variant
def test_a_cache_is_used_as_by_ordinary_attention(options, variant):
    grown = []
    for backbone in pair(variant, options):
        with torch.no_grad():
            cache, given = backbone.new_cache(BATCH, SIZE), states()
            parts = [backbone(Embedded(part), cache) for part in given.split((3, 1, 2), 1)]
        grown.append(torch.cat(parts, 1))
    assert torch.equal(*grown)


@every_variant
def test_padding_and_contexts_are_cut_as_well(variant):
    backbone = decoder(variant, positions=NoPositions)
    given = Embedded(states(), PADDING, states().detach()[:, :3].requires_grad_())
    hidden = backbone(given)
    each = losses(hidden)
    for t in range(SIZE):
        found = torch.autograd.grad(each[t], (given.states, given.context), retain_graph=True)
        assert found[0][:, t].any()
        assert not found[0][:, torch.arange(SIZE) != t].any()
        assert not found[1].any()


@every_variant
def test_a_learned_bias_of_distances_learns_as_ever_in_one_layer(variant):
    options = {"positions": partial(RelativeBias, buckets=4, reach=3), "depth": 1}
    found, expected = (
        gradients(decoder(**attention, **options), states())["positions.table.weight"]
        for attention in ({"attention": variant}, {})
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@every_variant
def test_dropped_weights_leave_the_cut_where_it_is(variant):
    backbone, given = decoder(variant, dropout=0.4).train(), states()
    each = losses(backbone(Embedded(given)))
    for t in range(SIZE):
        (gradient,) = torch.autograd.grad(each[t], given, retain_graph=True)
        assert not gradient[:, torch.arange(SIZE) != t].any()
    assert not torch.equal(losses(backbone(Embedded(given))), each)
    ordinary = decoder(dropout=0.4).eval()
    assert torch.equal(backbone.eval()(Embedded(given)), ordinary(Embedded(given)))


@pytest.mark.parametrize("operator", [Myopic, Bigram, GivenPast])
def test_a_context_that_is_no_past_is_refused(operator):
    message = f"{operator.__name__} treats .* CrossAttention .* no past; choose Decoder"
    with pytest.raises(ValueError, match=message):
        EncoderDecoder(DIM, 1, 4, attention=operator)
    with pytest.raises(ValueError, match=message):
        CrossAttention(DIM, 4, attention=operator)


@every_decoder
def test_a_bigram_sees_the_last_state_and_how_many_came_before(options):
    backbone, given = decoder(Bigram, **options).eval(), states().detach()
    hidden = backbone(Embedded(given))
    shuffled = given[:, torch.tensor([3, 0, 4, 2, 1, 5])]
    torch.testing.assert_close(backbone(Embedded(shuffled))[:, 5], hidden[:, 5])
    same = backbone(Embedded(given[:, :1].expand(-1, SIZE, -1)))
    assert (same[:, 1:] - same[:, :-1]).abs().amax(-1).min() > 1e-6
    with torch.no_grad():
        cache = backbone.new_cache(BATCH, SIZE)
        parts = [backbone(Embedded(part), cache) for part in given.split((3, 1, 2), 1)]
    torch.testing.assert_close(torch.cat(parts, 1), hidden, rtol=0, atol=1e-12)


def test_a_bigram_equals_attention_to_zeros():
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 4, 5, 3, dtype=torch.float64)
    own = KeyValue(keys, values)
    found = Bigram()(queries, own, own, Mask(causal=True))
    for t in range(5):
        weight = ((queries[:, :, t] * keys[:, :, t]).sum(-1, keepdim=True) / 3**0.5).exp()
        expected = weight / (weight + t) * values[:, :, t]
        torch.testing.assert_close(found[:, :, t], expected, rtol=0, atol=1e-12)


@every_decoder
def test_a_given_past_that_is_ones_own_trains_as_constant_keys_do(options):
    local, given = decoder(GivenPast, **options), states()
    with torch.no_grad():
        cache = decoder(**options).new_cache(BATCH, SIZE)
        decoder(**options)(Embedded(given), cache)
    leaves = dict(local.named_parameters()) | {"states": given}
    total = losses(local(Embedded(given), frozen(cache))).sum()
    found = torch.autograd.grad(total, list(leaves.values()))
    found = dict(zip(leaves, found, strict=True))
    assert error(found, gradients(decoder(VARIANTS["keys"], **options), given)) < 1e-12
    hidden = gradients(decoder(HIDDEN, **options), given)
    others = ("key_value", ".key.", ".value.", "key_norm")  # learn from the past, too
    same = {name: each for name, each in hidden.items() if not any(o in name for o in others)}
    assert error(found, same) < 1e-12


def test_operators_scale_as_ordinary_attention_does():
    torch.manual_seed(0)
    queries, keys, values = torch.randn(3, 2, 4, 5, 3, dtype=torch.float64)
    own, past = KeyValue(keys, values), KeyValue(keys.clone(), values)
    expected = ScaledDotProduct(scale=0.3)(queries, own, own, Mask(causal=True))
    for operator in (*VARIANTS.values(), GivenPast):
        found = operator(scale=0.3)(queries, own, past, Mask(causal=True))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
