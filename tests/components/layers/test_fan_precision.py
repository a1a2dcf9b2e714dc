"""The FAN layer in half precision and under autocast: phases are exact, the rest is rounded."""

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from components.layers.fan import FanLayer

HALF_UNIT = 2.0**-9  # of the last binary digit of a bfloat16 below 1: what rounding may do
FLOAT32 = 1e-4  # what a phase of some hundred rad loses in float32


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def exact(layer, hidden):
    """Phases, and the output of an identity layer, in float64 from the same rounded numbers."""
    mixed = linear(hidden.double(), layer.weight.double(), layer.bias.double())
    phases, rest = mixed.tensor_split((layer.phases,), -1)
    return phases, torch.cat((phases.cos(), phases.sin(), rest), -1)


@pytest.mark.parametrize("spread", [1, 8, 32])
@pytest.mark.parametrize("autocast", [False, True])
def test_cosines_and_sines_are_rounded_once(spread, autocast):
    layer = FanLayer(64, activation=nn.Identity)
    with torch.no_grad():
        layer.weight.normal_(std=spread / 8)  # phases of that spread, in rad
    hidden = torch.randn(256, 64)
    if not autocast:
        layer, hidden = layer.bfloat16(), hidden.bfloat16()
    phases, expected = exact(layer, hidden)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = layer(hidden)
    assert output.dtype == torch.bfloat16
    error = (output[:, :32] - expected[:, :32]).abs().max()
    assert error <= HALF_UNIT + FLOAT32
    # a phase that is rounded to bfloat16 would break the bound
    rounded = phases.bfloat16().double()
    if spread > 1:
        assert (rounded.sin() - phases.sin()).abs().max() > 2 * HALF_UNIT


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [False, True])
def test_gradients_are_those_of_the_formula_up_to_rounding(dtype, autocast):
    layer = FanLayer(64, activation=nn.Identity)
    hidden, direction = torch.randn(256, 64), torch.randn(256, 64, dtype=torch.float64)
    if not autocast:
        layer, hidden = layer.to(dtype), hidden.to(dtype)
    leaves = (hidden.requires_grad_(), layer.weight, layer.bias)
    _, expected = exact(layer, hidden)
    wanted = torch.autograd.grad(expected, leaves, direction)
    with torch.autocast("cpu", dtype, enabled=autocast):
        output = layer(hidden)
    for found, value, leaf in zip(
        torch.autograd.grad(output, leaves, direction.to(dtype)), wanted, leaves, strict=True
    ):
        assert found.dtype == leaf.dtype
        assert (found - value).norm() < 0.01 * value.norm()


def test_autocast_leaves_double_precision_alone():
    layer, hidden = FanLayer(8).double(), torch.randn(3, 8, dtype=torch.float64)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(hidden)
    assert torch.equal(output, layer(hidden))


def test_a_pass_backward_inside_of_autocast_is_the_same():
    layer, hidden = FanLayer(8), torch.randn(5, 8)
    layer(hidden).square().sum().backward()
    expected = layer.weight.grad.clone()
    layer.zero_grad()
    loss = layer(hidden).square().sum()
    with torch.autocast("cpu", torch.bfloat16):
        loss.backward()
    assert torch.equal(layer.weight.grad, expected)
