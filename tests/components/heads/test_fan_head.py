import pytest
import torch
from torch import nn
from torch.nn.functional import gelu, linear

from components.heads.fan import FanHead
from components.heads.linear import LinearHead
from components.supports import Tokens


def logits(head, hidden):
    return head(hidden).logits


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_without_phases_and_with_the_identity_it_is_the_linear_head():
    head, plain = FanHead(6, Tokens(5), p=0.0, activation=nn.Identity), LinearHead(6, Tokens(5))
    features, readout = head.projection
    with torch.no_grad():
        features.weight.copy_(torch.eye(6))
        features.bias.zero_()
    plain.projection.load_state_dict(readout.state_dict())
    hidden = torch.randn(4, 6)
    torch.testing.assert_close(logits(head, hidden), logits(plain, hidden), rtol=0, atol=0)


def test_without_phases_it_is_a_multilayer_perceptron():
    head = FanHead(6, Tokens(5), hidden=9, p=0.0)
    features, readout = head.projection
    hidden = torch.randn(4, 6)
    inner = gelu(linear(hidden, features.weight, features.bias))
    expected = linear(inner, readout.weight, readout.bias)
    torch.testing.assert_close(logits(head, hidden), expected)


def test_with_all_phases_it_reads_random_fourier_features():
    head = FanHead(6, Tokens(5), hidden=8, p=0.5)
    features, readout = head.projection
    hidden = torch.randn(4, 6)
    phases = linear(hidden, features.weight, features.bias)
    expected = readout(torch.cat((phases.cos(), phases.sin()), -1))
    torch.testing.assert_close(logits(head, hidden), expected)


@pytest.mark.parametrize(
    ("dim", "size", "parameters"), [(768, 50257, 39_090_577), (512, 1024, 722_304)]
)
def test_parameters_of_the_published_formula(dim, size, parameters):
    with torch.device("meta"):
        head = FanHead(dim, Tokens(size))
    assert sum(each.numel() for each in head.parameters()) == parameters


def test_parameters_of_several_layers():
    head = FanHead(6, Tokens(5), hidden=10, layers=3)
    expected = 7 * (10 - 2) + 2 * 11 * (10 - 2) + 11 * 5
    assert sum(each.numel() for each in head.parameters()) == expected


def test_logits_are_not_bounded_by_the_periodic_features():
    head = FanHead(6, Tokens(5))
    with torch.no_grad():
        head.projection[-1].weight.mul_(100)
    assert logits(head, torch.randn(20, 6)).abs().max() > 10
