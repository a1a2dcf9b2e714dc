"""Initializations of whole models, against the law that they state."""

import math
from functools import partial

import pytest
import torch
from torch import nn

from components.backbones import Decoder
from components.data import TokenSpec
from components.heads import FanHead, LinearHead
from components.initializations import CUTOFF, Mitchell
from components.layers.fan import FanLayer
from components.layers.feedforward import SwiGLU
from components.stems import TokenStem
from components.supports import Tokens

DIM, HIDDEN, SIZE = 128, 320, 500
# standard deviation of a standard normal law that is cut off at three: 1 - 2·3 φ(3) / (2 Φ(3) - 1)
CUT = math.sqrt(1 - 6 * math.exp(-4.5) / math.sqrt(2 * math.pi) / math.erf(3 / math.sqrt(2)))


@pytest.fixture
def parts():
    torch.manual_seed(0)
    fan = partial(FanLayer, activation=nn.Identity)
    swiglu = partial(SwiGLU, hidden=HIDDEN)
    backbone = Decoder(DIM, 3, 4, projection=fan, value=fan, bias=True, feedforward=swiglu)
    stem = TokenStem(DIM, TokenSpec(Tokens(SIZE), 8))
    head = LinearHead(DIM, Tokens(SIZE))
    Mitchell().apply(stem, backbone, head)
    return stem, backbone, head


def assert_drawn(weight, std):
    assert weight.std().item() == pytest.approx(CUT * std, rel=0.02)
    assert weight.abs().max() <= CUTOFF * std


def test_matrices_keep_the_size_of_what_they_read(parts):
    stem, backbone, head = parts
    assert_drawn(stem.embedding.weight, 1 / math.sqrt(DIM))
    assert_drawn(head.projection.weight, 1 / math.sqrt(DIM))
    for block in backbone.blocks:
        attention = block.attention
        for module in (attention.projection, attention.value, attention.query, attention.key):
            assert_drawn(module.weight, 1 / math.sqrt(DIM))
        assert_drawn(block.feedforward.up_gate.weight, 1 / math.sqrt(DIM))


def test_later_blocks_add_less_to_the_stream(parts):
    for position, block in enumerate(parts[1].blocks):
        assert_drawn(block.attention.out.weight, 1 / math.sqrt(2 * DIM * (position + 1)))
        assert_drawn(block.feedforward.down.weight, 1 / math.sqrt(2 * HIDDEN * (position + 1)))


def test_constants_start_at_zero_and_gains_at_one(parts):
    named = {name: p for part in parts for name, p in part.named_parameters() if p.ndim == 1}
    assert len(named) > 10
    for name, parameter in named.items():
        assert torch.equal(parameter, torch.full_like(parameter, float("norm" in name))), name


def test_a_gate_keeps_its_own_draw():
    torch.manual_seed(0)
    head = FanHead(DIM, Tokens(SIZE), gated=True)
    gate = head.projection[0].gate.clone()
    Mitchell().apply(TokenStem(DIM, TokenSpec(Tokens(SIZE), 8)), Decoder(DIM, 1, 4), head)
    assert torch.equal(head.projection[0].gate, gate)
    assert_drawn(head.projection[0].weight, 1 / math.sqrt(DIM))


def test_does_nothing_where_there_is_no_storage():
    with torch.device("meta"):
        stem = TokenStem(DIM, TokenSpec(Tokens(SIZE), 8))
        backbone, head = Decoder(DIM, 1, 4), LinearHead(DIM, Tokens(SIZE))
        Mitchell().apply(stem, backbone, head)
    assert stem.embedding.weight.is_meta
