"""Myopic gradients are those of decoding with a constant cache, and wrong ones are found out."""

import pytest
import torch
from torch import nn

from components.interfaces import Embedded
from components.layers.attention import AttentionOperator
from components.layers.key_value import KeyValue
from components.layers.myopic.attention import Myopic
from components.layers.myopic.fused import separated_attention
from tests.components.layers.myopic.every_myopic import (
    DECODERS,
    DEPTH,
    HIDDEN,
    KEYS,
    SIZE,
    VARIANTS,
    decoded,
    decoder,
    error,
    gradients,
    losses,
    states,
)

every_decoder = pytest.mark.parametrize("options", DECODERS.values(), ids=DECODERS.keys())
every_variant = pytest.mark.parametrize("constant", VARIANTS)


@every_decoder
@every_variant
def test_gradients_equal_those_of_decoding_with_a_constant_cache(options, constant):
    backbone, given = decoder(VARIANTS[constant], **options), states()
    expected, hidden = decoded(backbone, given, constant)
    torch.testing.assert_close(backbone(Embedded(given)), hidden, rtol=0, atol=1e-12)
    assert error(gradients(backbone, given), expected) < 1e-12
    ordinary = decoder(**options)
    assert error(gradients(ordinary, given), expected) > 0.01


class Counted(Myopic):
    """Lets the weights of the present learn twice from it: past states see live weights twice."""

    def streams(self, project, source):
        return project(source), project(source.detach())

    def forward(self, queries, own, past, mask):
        constant = KeyValue(own.keys.detach(), own.values.detach())
        once = separated_attention(queries, own, constant, mask)
        whole = super().forward(queries.detach(), past, past, mask)
        return once + whole - whole.detach()


class Ordinary(Myopic):
    """Forgets to cut."""

    def streams(self, project, source):
        return AttentionOperator.streams(self, project, source)

    def forward(self, queries, own, past, mask):
        return self.ordinary(queries, own, past, mask)


class CutsItself(Myopic):
    """Cuts what a position shows itself, too."""

    def forward(self, queries, own, past, mask):
        mine = KeyValue(own.keys.detach(), own.values.detach())
        return super().forward(queries, mine, past, mask)


class CutsQueries(Myopic):
    """Cuts queries."""

    def forward(self, queries, own, past, mask):
        return super().forward(queries.detach(), own, past, mask)


class KeepsValues(Myopic):
    """Cuts keys alone."""

    def forward(self, queries, own, past, mask):
        return super().forward(queries, own, KeyValue(past.keys, own.values), mask)


@pytest.mark.parametrize("wrong", [Counted, Ordinary, CutsItself, CutsQueries, KeepsValues])
def test_wrong_cuts_are_found_out(wrong):
    backbone, given = decoder(wrong), states()
    expected, hidden = decoded(backbone, given, "hidden")
    torch.testing.assert_close(backbone(Embedded(given)), hidden, rtol=0, atol=1e-12)
    assert error(gradients(backbone, given), expected) > 0.01


@pytest.mark.parametrize("forgotten", range(1, DEPTH))
def test_a_layer_that_is_forgotten_is_found_out(forgotten):
    backbone, given = decoder(HIDDEN), states()
    expected, _ = decoded(backbone, given, "hidden")
    backbone.blocks[forgotten].attention.operator = Ordinary()
    assert error(gradients(backbone, given), expected) > 0.01


def test_a_cut_in_front_of_the_norm_is_found_out():
    class Early(nn.Module):
        """Lets the norm learn from the past: one that normalizes constant states once more."""

        def __init__(self, norm):
            super().__init__()
            self.norm, self.early = norm, None

        def forward(self, hidden):
            self.early = self.norm(hidden.detach())
            return self.norm(hidden)

    class ReadsEarly(Myopic):
        def streams(self, project, source):
            return project(source), project(self.norm[0].early)

    backbone, given = decoder(HIDDEN), states()
    expected, _ = decoded(backbone, given, "hidden")
    for block in backbone.blocks:
        block.attention_norm = Early(block.attention_norm)
        block.attention.operator = ReadsEarly()
        block.attention.operator.norm = (block.attention_norm,)
    found = gradients(backbone, given)
    found = {name.replace("norm.norm", "norm"): each for name, each in found.items()}
    wrong = error(
        {k: v for k, v in found.items() if "attention_norm" in k},
        {k: v for k, v in expected.items() if "attention_norm" in k},
    )
    assert wrong > 0.01


@every_decoder
@every_variant
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_loss_reaches_the_state_of_its_own_position_alone(options, constant, depth):
    given = states()
    for attention, myopic in ((VARIANTS[constant], True), (None, False)):
        kwargs = options if attention is None else options | {"attention": attention}
        each = losses(decoder(depth=depth, **kwargs)(Embedded(given)))
        for t in range(SIZE):
            (gradient,) = torch.autograd.grad(each[t], given, retain_graph=True)
            assert gradient[:, t].any(-1).all()
            assert not gradient[:, t + 1 :].any()
            assert gradient[:, :t].any() != (myopic or t == 0)


@every_variant
def test_a_loss_at_the_end_trains_no_earlier_position(constant):
    given = states()
    for attention, myopic in ((VARIANTS[constant], True), (None, False)):
        options = {} if attention is None else {"attention": attention}
        backbone = decoder(**DECODERS["gpt2"], **options)
        losses(backbone(Embedded(given)))[-1].backward()
        rows = backbone.positions.table.weight.grad
        assert rows[SIZE - 1].any()
        assert rows[: SIZE - 1].any() != myopic


@every_decoder
@every_variant
def test_a_single_position_has_nothing_to_cut(options, constant):
    given = states(size=1)
    found = gradients(decoder(VARIANTS[constant], **options), given)
    expected = gradients(decoder(**options), given)
    for name, each in expected.items():
        torch.testing.assert_close(found[name], each, rtol=1e-13, atol=1e-14)


def test_both_variants_differ_in_the_maps_of_keys_and_values_alone():
    given = states()
    options = {"positions": DECODERS["unmarked"]["positions"], "bias": True}
    hidden, keys, whole = (
        gradients(decoder(**options, **attention), given)
        for attention in ({"attention": HIDDEN}, {"attention": KEYS}, {})
    )
    for name, each in hidden.items():
        same = torch.allclose(keys[name], each, rtol=1e-12, atol=1e-12)
        assert same == ("key_value" not in name), name
    last = f"blocks.{DEPTH - 1}."
    for name, each in whole.items():
        if not name.startswith((last, "norm")):
            continue
        same = torch.allclose(hidden[name], each, rtol=1e-12, atol=1e-12)
        assert same == ("attention_norm" not in name), name
        if "key_value" not in name:
            torch.testing.assert_close(keys[name], hidden[name], rtol=1e-12, atol=1e-12)


def test_a_bias_of_keys_drifts_where_keys_are_constant():
    given = states()
    drift = {}
    for name, attention in VARIANTS.items() | {"ordinary": None}.items():
        options = {} if attention is None else {"attention": attention}
        found = gradients(decoder(**DECODERS["unmarked"], **options), given)
        drift[name] = max(
            found[f"blocks.{layer}.attention.key_value.bias"].chunk(2)[0].norm().item()
            for layer in range(DEPTH)
        )
    assert drift["ordinary"] < 1e-12
    assert drift["hidden"] < 1e-12
    assert drift["keys"] > 1e-6
