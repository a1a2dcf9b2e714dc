"""Gradients that layers write themselves, against numbers, and against torch's formulas."""

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, vmap
from torch.nn.functional import rms_norm

from components.layers.attention import Attention
from components.layers.linear import JOINED_INPUTS, Linear
from components.layers.masks import Mask
from components.layers.norms import RMSNorm
from components.layers.positions import NoPositions, Rotary


def norm():
    """Returns a norm as a function of states and gain, and both."""
    torch.manual_seed(0)
    layer = RMSNorm(5, eps=0.1).double()
    gain, states = torch.randn(5).double(), torch.randn(2, 3, 5).double()
    apply = lambda states, gain: functional_call(layer, {"weight": gain}, (states,))  # noqa: E731
    return apply, (states.requires_grad_(), gain.requires_grad_())


def rotation(index):
    """Returns a rotation as a function of queries and keys, and both."""
    torch.manual_seed(0)
    queries, keys = torch.randn(2, 3, 3, 4).double(), torch.randn(2, 1, 3, 4).double()
    rotate = lambda queries, keys: Rotary(12, 3, 4).rotate(queries, keys, index)  # noqa: E731
    return rotate, (queries.requires_grad_(), keys.requires_grad_())


CASES = {
    "norm": norm(),
    "rotation": rotation(torch.arange(3)[None]),
    "rotation of several sequences": rotation(torch.tensor([[0, 1, 2], [5, 0, 1]])),
}


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # in torch's forward ones
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow) if case == "rotation" else case for case in CASES],
)
def test_derivatives_are_those_of_finite_differences(case):
    """First ones, backward and forward, and second ones."""
    function, inputs = CASES[case]
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_a_norm_equals_that_of_torch_also_for_states_that_are_no_rows():
    torch.manual_seed(0)
    layer, wide = RMSNorm(6), torch.randn(2, 6, 4, requires_grad=True)
    direction = torch.randn(2, 4, 6)
    found, expected = (
        (made, *torch.autograd.grad(made, (wide, layer.weight), direction))
        for made in (layer(wide.mT), rms_norm(wide.mT, (6,), layer.weight, layer.eps))
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("case", ["norm", "rotation"])
def test_gradients_of_each_example(case):
    function, (first, second) = CASES[case]

    def loss(one, other):
        made = function(one[None], other if case == "norm" else other[None])
        return sum(each.sin().sum() for each in (made if isinstance(made, tuple) else (made,)))

    slopes = vmap(grad(loss), (0, None if case == "norm" else 0))(first, second)
    alone = [grad(loss)(x, second if case == "norm" else second[k]) for k, x in enumerate(first)]
    torch.testing.assert_close(slopes, torch.stack(alone))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_one_product_equals_several(groups):
    """Also where a map is adapted, which is called then."""

    class Adapted(Linear):
        pass

    torch.manual_seed(0)
    layer = Attention(
        8, 4, groups, bias=True, qk_norm=RMSNorm, rotate=NoPositions(8, 4, 2).rotate
    ).double()
    nn.init.normal_(layer.key_value.bias)
    hidden, index = torch.randn(2, JOINED_INPUTS // 2, 8).double(), torch.zeros(1, 1)
    joined = layer(hidden, index, Mask(causal=True))
    slopes = torch.autograd.grad(joined.square().sum(), list(layer.parameters()))
    layer.query.__class__ = Adapted
    alone = layer(hidden, index, Mask(causal=True))
    torch.testing.assert_close(joined, alone)
    expected = torch.autograd.grad(alone.square().sum(), list(layer.parameters()))
    torch.testing.assert_close(slopes, expected)
