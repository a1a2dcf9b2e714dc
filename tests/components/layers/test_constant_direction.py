"""Behind a LayerNorm with bias, one direction has the same product with every state."""

import pytest
import torch

from components.backbones import MLP, Decoder
from components.interfaces import Embedded
from components.layers.norms import LayerNorm, RMSNorm

DIM = 16


def norm(seed=0):
    torch.manual_seed(seed)
    made = LayerNorm(DIM)
    with torch.no_grad():
        made.weight.add_(torch.randn(DIM) * 0.3)
        made.bias.add_(torch.randn(DIM))
    return made


@pytest.mark.parametrize("seed", range(5))
def test_its_product_with_every_output_is_one(seed):
    made = norm(seed)
    states = torch.randn(200, DIM, dtype=torch.float64) * 10 + 3
    products = made(states) @ made.constant_direction()
    torch.testing.assert_close(products, torch.ones_like(products), rtol=0, atol=1e-10)


def test_a_decoder_tells_that_of_its_last_norm():
    decoder = Decoder(DIM, 2, 2, norm=LayerNorm).double()
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    hidden = decoder(Embedded(torch.randn(3, 7, DIM, dtype=torch.float64)))
    products = hidden @ decoder.constant_direction()
    torch.testing.assert_close(products, torch.ones_like(products), rtol=0, atol=1e-10)
    assert not decoder.constant_direction().requires_grad


def test_there_is_none_without_a_constant():
    assert LayerNorm(DIM).constant_direction() is None  # no bias yet
    assert RMSNorm(DIM).constant_direction() is None
    assert Decoder(DIM, 1, 2, norm=LayerNorm).constant_direction() is None
    assert Decoder(DIM, 1, 2).constant_direction() is None
    assert MLP(DIM, 1).constant_direction() is None


def test_there_is_none_where_a_gain_is_zero():
    made = norm()
    with torch.no_grad():
        made.weight[3] = 0
    assert made.constant_direction() is None


def test_half_precision_is_computed_in_float64():
    made = norm().bfloat16()
    direction = made.constant_direction()
    assert direction.dtype == torch.float64
    states = torch.randn(50, DIM, dtype=torch.float64)
    torch.testing.assert_close(
        made(states) @ direction, torch.ones(50, dtype=torch.float64), rtol=0, atol=1e-10
    )
