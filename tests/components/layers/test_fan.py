import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.autograd import grad, gradcheck, gradgradcheck
from torch.nn.functional import linear

from components.layers.fan import FanFeedForward, FanLayer

GOLDEN = json.loads(Path(__file__).with_name("fan.json").read_text())
ACTIVATIONS = {"identity": nn.Identity, "gelu": nn.GELU}
LAST_DIGIT = 5e-11  # the golden values are rounded to ten decimals
SHARES = [0.0, 0.125, 0.25, 0.5]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def filler(*shape, k, scale):
    """The deterministic tensors of the golden cases."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (scale * (((i + 1) * 7919 + (k + 1) * 104729) % 1009 / 1009 - 0.5)).reshape(shape)


def naive(layer, hidden):
    """The formula as it is written."""
    phases, rest = linear(hidden, layer.weight, layer.bias).split(
        (layer.phases, layer.weight.shape[0] - layer.phases), -1
    )
    return torch.cat((phases.cos(), phases.sin(), layer.activation(rest)), -1)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"),
    [(torch.float64, 1e-9, LAST_DIGIT), (torch.float32, 1e-4, 1e-7)],
    ids=str,
)
@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_the_authors_layer_gives_the_same(case, dtype, rtol, atol):
    layer = FanLayer(4, 8, case["p"], ACTIVATIONS[case["activation"]]).to(dtype)
    assert layer.weight.shape == (case["W_in_rows"], 4)
    assert layer.phases == case["dp"]
    with torch.no_grad():
        layer.weight.copy_(filler(*layer.weight.shape, k=1, scale=3))
        layer.bias.copy_(filler(*layer.bias.shape, k=2, scale=1))
    hidden = filler(2, 4, k=0, scale=4).to(dtype).requires_grad_()
    output = layer(hidden)
    loss = (output * filler(2, 8, k=3, scale=2).to(dtype)).sum()
    loss.backward()
    found = {"loss": loss, "y": output, "dx": hidden.grad}
    found |= {"dW_in": layer.weight.grad, "db_in": layer.bias.grad}
    for name, value in found.items():
        expected = torch.tensor(case[name], dtype=dtype)
        torch.testing.assert_close(value.detach(), expected, rtol=rtol, atol=atol)


INPUTS = {
    "one state": lambda: torch.randn(16, dtype=torch.float64),
    "no state": lambda: torch.randn(0, 16, dtype=torch.float64),
    "three axes": lambda: torch.randn(2, 3, 4, 16, dtype=torch.float64),
    "not contiguous": lambda: torch.randn(16, 4, 5, dtype=torch.float64).permute(2, 1, 0),
    "one state for all": lambda: torch.randn(16, dtype=torch.float64).expand(5, 16),
}


@pytest.mark.parametrize("make", INPUTS.values(), ids=INPUTS)
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("p", SHARES)
def test_values_and_gradients_are_those_of_the_formula(p, activation, make):
    layer = FanLayer(16, 24, p, activation).double()
    hidden = make().requires_grad_()
    found, expected = layer(hidden), naive(layer, hidden)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    leaves, direction = (hidden, layer.weight, layer.bias), torch.randn_like(expected)
    for value, wanted in zip(
        grad(found, leaves, direction), grad(expected, leaves, direction), strict=True
    ):
        torch.testing.assert_close(value, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("p", SHARES)
@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("p_bias", [False, True])
def test_gradients_of_first_and_second_order(p, gated, p_bias):
    layer = FanLayer(3, 8, p, gated=gated, p_bias=p_bias).double()
    hidden = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    inputs = (hidden, *layer.parameters())
    names = [name for name, _ in layer.named_parameters()]

    def run(hidden, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), hidden)

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # in torch's forward ones
@pytest.mark.parametrize("gated", [False, True])
def test_transformations_of_torch_give_the_same_derivatives(gated):
    """Of each example, and forward."""
    layer = FanLayer(3, 8, gated=gated).double()
    hidden, parameters = torch.randn(4, 3).double(), dict(layer.named_parameters())

    def loss(parameters, hidden):
        return torch.func.functional_call(layer, parameters, hidden).square().sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, hidden)
    for name, parameter in parameters.items():
        alone = [grad(layer(row).square().sum(), parameter)[0] for row in hidden]
        torch.testing.assert_close(found[name], torch.stack(alone))
    leaf, direction = hidden.clone().requires_grad_(), torch.randn(4, 3).double()
    _, slope = torch.func.jvp(lambda x: loss(parameters, x), (hidden,), (direction,))
    (expected,) = grad(layer(leaf).square().sum(), leaf)
    torch.testing.assert_close(slope, (expected * direction).sum())
    rows = torch.func.vmap(layer)(hidden)
    torch.testing.assert_close(rows, layer(hidden))


def test_a_frozen_layer_passes_gradients_on():
    layer = FanLayer(4, 8).requires_grad_(False)
    hidden = torch.randn(3, 4, requires_grad=True)
    (found,) = grad(layer(hidden).sum(), hidden)
    (expected,) = grad(naive(layer, hidden).sum(), hidden)
    torch.testing.assert_close(found, expected)


def test_gate_weighs_the_two_kinds_of_outputs():
    layer = FanLayer(4, 8, gated=True)
    weight = torch.sigmoid(layer.gate)
    plain = naive(layer, torch.ones(4))
    expected = torch.cat((plain[:4] * weight, plain[4:] * (1 - weight)))
    torch.testing.assert_close(layer(torch.ones(4)), expected)


def test_cosines_and_sines_lie_on_circles():
    layer, hidden = FanLayer(6, 10, 0.3), 20 * torch.randn(50, 6)
    output = layer(hidden)
    cosines, sines = output[:, :3], output[:, 3:6]
    torch.testing.assert_close(cosines**2 + sines**2, torch.ones(50, 3))
    assert output[:, :6].abs().max() <= 1


def test_phases_without_a_bias_are_odd_in_the_input():
    layer = FanLayer(4, 8, p_bias=False)
    assert layer.bias.shape == (4,)
    hidden = torch.randn(5, 4)
    there, back = layer(hidden), layer(-hidden)
    torch.testing.assert_close(there[:, :2], back[:, :2])
    torch.testing.assert_close(there[:, 2:4], -back[:, 2:4])


def test_a_full_turn_of_the_phase_changes_nothing_and_a_quarter_swaps():
    layer, hidden = FanLayer(4, 8).double(), torch.randn(3, 4, dtype=torch.float64)
    before = layer(hidden).detach()
    with torch.no_grad():
        layer.bias[:2] += 2 * math.pi
    torch.testing.assert_close(layer(hidden), before)
    with torch.no_grad():
        layer.bias[:2] += math.pi / 2
    after = layer(hidden)
    torch.testing.assert_close(after[:, :2], -before[:, 2:4])
    torch.testing.assert_close(after[:, 2:4], before[:, :2])


def test_with_the_identity_the_rest_is_linear_in_its_rows():
    layer, hidden = FanLayer(4, 8, activation=nn.Identity), torch.randn(3, 4)
    before = layer(hidden).detach()
    with torch.no_grad():
        layer.weight[2:] *= -4  # a power of two: no rounding
        layer.bias[2:] *= -4
    after = layer(hidden)
    assert torch.equal(after[:, 4:], -4 * before[:, 4:])
    assert torch.equal(after[:, :4], before[:, :4])


def test_each_position_is_on_its_own():
    layer, hidden = FanLayer(4, 8), torch.randn(2, 7, 4)
    order = torch.randperm(7)
    torch.testing.assert_close(layer(hidden[:, order]), layer(hidden)[:, order])


@pytest.mark.parametrize(("width", "p", "phases"), [(2048, 0.15, 307), (10, 0.25, 2), (8, 0.5, 4)])
def test_number_of_phases_is_rounded_down_and_parameters_are_counted(width, p, phases):
    layer = FanLayer(3, width, p)
    assert layer.phases == phases
    assert sum(each.numel() for each in layer.parameters()) == 4 * (width - phases)
    assert layer(torch.zeros(1, 3)).shape == (1, width)


def test_half_of_the_outputs_are_periodic_by_default():
    assert 2 * FanLayer(12).phases == 12 // 2


def test_parameters_can_be_made_late():
    layer = FanLayer(64, gated=True).to("meta").to_empty(device="cpu")
    layer.reset_parameters()
    plain = nn.Linear(64, 48)  # of as many rows: its distribution is the layer's
    for mine, other in ((layer.weight, plain.weight), (layer.bias, plain.bias)):
        assert mine.shape == other.shape
        assert mine.abs().max() <= 1 / 8
        assert mine.abs().max().item() == pytest.approx(other.abs().max().item(), rel=0.05)
    assert layer.weight.std().item() == pytest.approx(plain.weight.std().item(), rel=0.05)
    assert layer.gate.isfinite()


@pytest.mark.parametrize("p", [-0.1, 0.6, float("nan")])
def test_impossible_fractions_are_refused(p):
    with pytest.raises(ValueError, match=r"FanLayer: p=\S+ is not between 0 and 0.5"):
        FanLayer(4, p=p)


@pytest.mark.parametrize(("name", "sizes"), [("dim", (0, 4)), ("width", (4, 0))])
def test_empty_sizes_are_refused(name, sizes):
    with pytest.raises(ValueError, match=f"FanLayer: {name}=0 is too small"):
        FanLayer(*sizes)


@pytest.mark.parametrize("p", SHARES)
def test_a_feed_forward_network_of_two_fan_layers_equals_its_formula(p):
    network = FanFeedForward(6, hidden=16, p=p, out_std=0.3).double()
    hidden = torch.randn(2, 3, 6, dtype=torch.float64)
    expected = naive(network.down, naive(network.up, hidden))
    assert expected.shape == hidden.shape
    torch.testing.assert_close(network(hidden), expected, rtol=0, atol=1e-12)


def test_the_last_matrix_of_a_network_starts_as_the_block_asks():
    network = FanFeedForward(200, hidden=300, out_std=0.07)
    assert network.down.weight.std().item() == pytest.approx(0.07, rel=0.02)
    assert not network.down.bias.any()
    assert network.up.weight.std().item() == pytest.approx(0.02, rel=0.02)
