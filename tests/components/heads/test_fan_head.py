"""The FAN head is the linear head, a perceptron or a Fourier network where it should be."""

import pytest
import torch
from every_head import BINS, INTERVALS, TOKENS
from torch import nn
from torch.nn.functional import gelu, linear

from components.heads.fan import FanHead
from components.heads.linear import LinearHead
from components.supports import Tokens
from components.testing.heads import outcomes

every_support = pytest.mark.parametrize("support", TOKENS + INTERVALS + BINS, ids=str)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def count(head):
    return sum(each.numel() for each in head.parameters())


@every_support
def test_without_phases_and_with_the_identity_it_is_the_linear_head(support):
    head, plain = FanHead(6, support, p=0.0, activation=nn.Identity), LinearHead(6, support)
    features, readout = head.projection
    with torch.no_grad():
        features.weight.copy_(torch.eye(6))
        features.bias.zero_()
    plain.projection.load_state_dict(readout.state_dict())
    hidden, target = torch.randn(4, 6), outcomes(support, 4)
    assert torch.equal(head.projection(hidden), plain.projection(hidden))
    assert torch.equal(head(hidden).log_prob(target), plain(hidden).log_prob(target))


@every_support
def test_without_phases_it_is_a_multilayer_perceptron(support):
    head = FanHead(6, support, hidden=9, p=0.0)
    features, readout = head.projection
    hidden = torch.randn(4, 6)
    inner = gelu(linear(hidden, features.weight, features.bias))
    expected = linear(inner, readout.weight, readout.bias)
    torch.testing.assert_close(head.projection(hidden), expected)


@every_support
def test_with_all_phases_it_reads_cosines_and_sines_alone(support):
    head = FanHead(6, support, hidden=8, p=0.5)
    features, readout = head.projection
    hidden = torch.randn(4, 6)
    phases = linear(hidden, features.weight, features.bias)
    expected = readout(torch.cat((phases.cos(), phases.sin()), -1))
    torch.testing.assert_close(head.projection(hidden), expected)


@pytest.mark.parametrize(
    ("dim", "size", "parameters"), [(768, 50257, 39_090_577), (512, 1024, 722_304)]
)
def test_parameters_of_the_published_formula(dim, size, parameters):
    with torch.device("meta"):
        assert count(FanHead(dim, Tokens(size))) == parameters


@pytest.mark.parametrize("p_bias", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_parameters_of_several_layers(p_bias, bias):
    head = FanHead(6, Tokens(5), hidden=10, layers=3, p_bias=p_bias, bias=bias)
    phases = 2  # 10 / 4, rounded down
    features = 7 * (10 - phases) + 2 * 11 * (10 - phases)
    features -= 0 if p_bias else 3 * phases
    assert count(head) == features + (10 + bias) * 5


def test_logits_grow_with_the_readout_beyond_any_bound():
    head = FanHead(6, Tokens(5), p=0.5, bias=False)
    hidden = torch.randn(20, 6)
    before = head(hidden).logits
    with torch.no_grad():
        head.projection[-1].weight.mul_(128)
    assert torch.equal(head(hidden).logits, 128 * before)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"layers": 2, "hidden": 8}], ids=str)
def test_reads_out_with_the_vectors_of_an_embedding(options):
    head, table = FanHead(6, Tokens(5), **{"hidden": 8} | options), nn.Embedding(5, 8)
    *features, readout = head.projection
    head.tie(table)
    inner = nn.Sequential(*features)(torch.randn(4, 6))
    torch.testing.assert_close(
        head.projection[-1](inner), linear(inner, table.weight, readout.bias)
    )
    assert not any(each is readout.weight for each in head.parameters())


def test_another_width_than_the_embedding_is_not_tied():
    with pytest.raises(ValueError, match="FanHead reads 5 logits from a width of 6"):
        FanHead(6, Tokens(5)).tie(nn.Embedding(5, 8))
