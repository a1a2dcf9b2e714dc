"""Initializations of whole models, against the distribution that they state."""

import math
from functools import partial

import pytest
import torch
from scipy import stats
from torch import nn

from components.backbones import Decoder
from components.data import TokenSpec
from components.heads import FanHead, LinearHead
from components.initializations import CUTOFF, Mitchell, NormalMatrices
from components.layers.fan import FanLayer
from components.layers.feedforward import SwiGLU
from components.stems import TokenStem
from components.supports import Tokens

DIM, HIDDEN, SIZE = 128, 320, 500
# standard deviation of a standard normal distribution that is cut off at three: 1 - 2·3 φ(3) / (2
# Φ(3) - 1)
CUT = math.sqrt(1 - 6 * math.exp(-4.5) / math.sqrt(2 * math.pi) / math.erf(3 / math.sqrt(2)))


def built():
    torch.manual_seed(0)
    fan = partial(FanLayer, activation=nn.Identity)
    swiglu = partial(SwiGLU, hidden=HIDDEN)
    backbone = Decoder(DIM, 3, 4, projection=fan, value=fan, bias=True, feedforward=swiglu)
    stem = TokenStem(DIM, TokenSpec(Tokens(SIZE), 8))
    return stem, backbone, LinearHead(DIM, Tokens(SIZE))


@pytest.fixture
def parts():
    made = built()
    Mitchell().apply(*made)
    return made


def assert_drawn(weight, std):
    assert weight.std().item() == pytest.approx(CUT * std, rel=0.02)
    assert weight.abs().max() <= CUTOFF * std


def test_matrices_scale_with_the_width_of_their_input(parts):
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


def test_biases_start_at_zero_and_gains_at_one(parts):
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


def test_normal_matrices_are_alike_and_all_else_is_plain():
    parts = built()
    NormalMatrices(0.05).apply(*parts)
    named = {name: p for part in parts for name, p in part.named_parameters()}
    matrices = {name: p for name, p in named.items() if p.ndim == 2}
    assert len(matrices) > 10
    for name, matrix in matrices.items():
        assert matrix.std().item() == pytest.approx(0.05, rel=0.03), name
        assert stats.kstest(matrix.detach().flatten()[:20_000], "norm", (0, 0.05)).pvalue > 1e-4
    for name in named.keys() - matrices.keys():
        vector = named[name]
        assert torch.equal(vector, torch.full_like(vector, float("norm" in name))), name


def test_normal_matrices_need_a_standard_deviation():
    with pytest.raises(
        ValueError, match=r"NormalMatrices: std=0.0 is not a standard deviation; .*\.$"
    ):
        NormalMatrices(0.0)


@pytest.mark.parametrize("initialization", [Mitchell(), NormalMatrices()])
def test_does_nothing_where_there_is_no_storage(initialization):
    with torch.device("meta"):
        stem = TokenStem(DIM, TokenSpec(Tokens(SIZE), 8))
        backbone, head = Decoder(DIM, 1, 4), LinearHead(DIM, Tokens(SIZE))
        initialization.apply(stem, backbone, head)
    assert stem.embedding.weight.is_meta
