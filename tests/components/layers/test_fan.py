import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import linear

from components.layers.fan import FanLayer

GOLDEN = json.loads(Path(__file__).with_name("fan.json").read_text())
ACTIVATIONS = {"identity": nn.Identity, "gelu": nn.GELU}


def filler(*shape, k, scale):
    """The deterministic tensors of the golden cases."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (scale * (((i + 1) * 7919 + (k + 1) * 104729) % 1009 / 1009 - 0.5)).reshape(shape)


def naive(layer, hidden):
    phases, rest = linear(hidden, layer.weight, layer.bias).split(
        (layer.phases, layer.weight.shape[0] - layer.phases), -1
    )
    return torch.cat((phases.cos(), phases.sin(), layer.activation(rest)), -1)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_the_authors_layer_gives_the_same(case):
    layer = FanLayer(4, 8, case["p"], ACTIVATIONS[case["activation"]]).double()
    assert layer.weight.shape == (case["W_in_rows"], 4)
    assert layer.phases == case["dp"]
    with torch.no_grad():
        layer.weight.copy_(filler(*layer.weight.shape, k=1, scale=3))
        layer.bias.copy_(filler(*layer.bias.shape, k=2, scale=1))
    hidden = filler(2, 4, k=0, scale=4).requires_grad_()
    output = layer(hidden)
    loss = (output * filler(2, 8, k=3, scale=2)).sum()
    loss.backward()
    found = {"loss": loss, "y": output, "dx": hidden.grad}
    found |= {"dW_in": layer.weight.grad, "db_in": layer.bias.grad}
    for name, value in found.items():
        expected = torch.tensor(case[name], dtype=torch.float64)
        torch.testing.assert_close(value.detach(), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("p", [0.0, 0.125, 0.25, 0.5])
@pytest.mark.parametrize("gated", [False, True])
def test_gradients_of_first_and_second_order(p, gated):
    torch.manual_seed(0)
    layer = FanLayer(3, 8, p, gated=gated).double()
    hidden = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    inputs = (hidden, *layer.parameters())
    names = [name for name, _ in layer.named_parameters()]

    def run(hidden, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), hidden)

    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


def test_equals_the_formula_also_where_memory_is_not_contiguous():
    torch.manual_seed(0)
    layer = FanLayer(6, 10)
    hidden = torch.randn(6, 4, 5).permute(2, 1, 0)
    torch.testing.assert_close(layer(hidden), naive(layer, hidden))


def test_gate_weighs_the_two_kinds_of_outputs():
    torch.manual_seed(0)
    layer = FanLayer(4, 8, gated=True)
    share = torch.sigmoid(layer.gate)
    plain = naive(layer, torch.ones(4))
    expected = torch.cat((plain[:4] * share, plain[4:] * (1 - share)))
    torch.testing.assert_close(layer(torch.ones(4)), expected)


def test_phases_without_a_bias_are_odd_in_the_input():
    torch.manual_seed(0)
    layer = FanLayer(4, 8, p_bias=False)
    assert layer.bias.shape == (4,)
    hidden = torch.randn(5, 4)
    there, back = layer(hidden), layer(-hidden)
    torch.testing.assert_close(there[:, :2], back[:, :2])
    torch.testing.assert_close(there[:, 2:4], -back[:, 2:4])


def test_a_full_turn_of_the_phase_changes_nothing_and_a_quarter_swaps():
    torch.manual_seed(0)
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


@pytest.mark.parametrize(("width", "p", "phases"), [(2048, 0.15, 307), (10, 0.25, 2), (8, 0.5, 4)])
def test_number_of_phases_is_rounded_down_and_parameters_are_counted(width, p, phases):
    layer = FanLayer(3, width, p)
    assert layer.phases == phases
    assert sum(each.numel() for each in layer.parameters()) == 4 * (width - phases)
    assert layer(torch.zeros(1, 3)).shape == (1, width)


def test_phases_keep_their_precision_under_autocast():
    torch.manual_seed(0)
    layer = FanLayer(64, 64)
    hidden = 30 * torch.randn(256, 64)
    exact = naive(layer, hidden)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(hidden)
    assert output.dtype == torch.bfloat16
    # nothing but the rounding of the result: a phase rounded to bfloat16 would be off by 0.1
    error = (output[:, :32].float() - exact[:, :32]).abs().max()
    assert error < 2**-8
    output.float().sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert layer.weight.grad.isfinite().all()


@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
def test_the_layer_compiles_in_one_piece():
    torch.manual_seed(0)
    layer, hidden = FanLayer(4, 8, gated=True), torch.randn(3, 4)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(hidden), layer(hidden))


def test_half_precision_parameters_run_and_differentiate():
    torch.manual_seed(0)
    layer = FanLayer(8, gated=True).bfloat16()
    layer(torch.randn(4, 8, dtype=torch.bfloat16)).float().square().sum().backward()
    assert all(each.grad.isfinite().all() for each in layer.parameters())


def test_parameters_can_be_made_late():
    layer = FanLayer(64, gated=True).to("meta").to_empty(device="cpu")
    layer.reset_parameters()
    assert layer.weight.abs().max() <= 1 / 8
    assert layer.weight.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.05)
    assert layer.gate.isfinite()


@pytest.mark.parametrize("p", [-0.1, 0.6, float("nan")])
def test_impossible_shares_are_refused(p):
    with pytest.raises(ValueError, match=r"FanLayer: p=\S+ is not between 0 and 0.5"):
        FanLayer(4, p=p)
