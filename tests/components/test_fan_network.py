"""The FAN network against its formula, and against the perceptron that it is without phases."""

import math

import pytest
import torch

from components.backbones import FanNetwork, Perceptron
from components.interfaces import Embedded

DOUBLE = {"dtype": torch.float64}


def states(size=5, dim=8):
    torch.manual_seed(1)
    return Embedded(torch.randn(3, size, dim, **DOUBLE))


def test_layers_follow_the_formula_one_number_at_a_time():
    """(cos P, sin P, GELU(G)) of each layer is what the next one reads."""
    torch.manual_seed(0)
    network = FanNetwork(8, depth=2).double()
    found = network(states())[0, 0].tolist()
    expected = states().states[0, 0].tolist()
    for layer in network.blocks:
        rows = [
            sum(w * x for w, x in zip(row, expected, strict=True)) + bias
            for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
        ]
        phases, rest = rows[:2], rows[2:]
        expected = [math.cos(p) for p in phases] + [math.sin(p) for p in phases]
        expected += [g * (1 + math.erf(g / math.sqrt(2))) / 2 for g in rest]
    assert found == pytest.approx(expected, rel=1e-12)


def test_without_phases_it_is_a_perceptron_that_reads_activated_states():
    network = FanNetwork(8, depth=3, p=0).double()
    plain = Perceptron(8, depth=3, activation=torch.nn.GELU).double()
    plain.load_state_dict(network.state_dict())
    given = states()
    activated = given._replace(states=torch.nn.functional.gelu(given.states))
    torch.testing.assert_close(plain(given), network(activated), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("p", "phases"), [(0.25, 2), (0.15, 1), (0.5, 5)])
def test_a_layer_has_as_many_parameters_as_the_paper_says(p, phases):
    """(d + 1)(d - phases), with biases for phases; table 1 of the paper."""
    network = FanNetwork(10, depth=3, p=p)
    size = sum(parameter.numel() for parameter in network.parameters())
    assert size == 3 * 11 * (10 - phases)
    bare = FanNetwork(10, depth=3, p=p, p_bias=False)
    assert sum(parameter.numel() for parameter in bare.parameters()) == size - 3 * phases


@pytest.mark.parametrize("backbone", [FanNetwork, Perceptron])
def test_an_empty_shell_is_initialized_as_torch_does(backbone):
    with torch.device("meta"):
        network = backbone(64, depth=2)
    network.to_empty(device="cpu")
    for tensor in network.parameters():
        torch.nn.init.constant_(tensor, math.nan)
    for module in network.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert not list(network.buffers())
    for name, tensor in network.named_parameters():
        assert 0.9 / 8 < tensor.abs().max() <= 1 / 8, name  # uniform, up to 1 / sqrt(64)


def test_mistakes_are_one_sentence():
    with pytest.raises(ValueError, match=r"FanNetwork .* cannot see the context of 6 positions"):
        FanNetwork(4, 1)(Embedded(torch.zeros(1, 2, 4), context=torch.zeros(1, 6, 4)))
    with pytest.raises(ValueError, match="FanNetwork: depth=0"):
        FanNetwork(4, 0)
    with pytest.raises(ValueError, match=r"p=0\.6 is not between 0 and 0\.5"):
        FanNetwork(4, 1, p=0.6)
