"""A cache whose keys and values stay: a pass with it is an ordinary one, but for the past."""

from functools import partial

import pytest
import torch

from components.backbones import Decoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.myopic.attention import GivenPast
from components.layers.myopic.past import FrozenLayerCache, frozen
from components.layers.positions import Learned, NoPositions, RelativeBias, Rotary

torch.manual_seed(0)
STATES = torch.randn(3, 5, 8, dtype=torch.float64)
PADDED = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]], dtype=torch.bool)
CONTEXT = torch.randn(3, 4, 8, dtype=torch.float64)
INPUTS = {
    "plain": Embedded(STATES),
    "padded": Embedded(STATES, PADDED),
    "context": Embedded(STATES, context=CONTEXT),
    "padded context": Embedded(STATES, PADDED, CONTEXT, PADDED[:, :4]),
}


def decoder(attention, positions=Rotary):
    torch.manual_seed(1)
    return Decoder(8, 3, 4, 2, attention=attention, positions=positions).double()


@pytest.mark.parametrize(
    "positions", [Rotary, partial(Learned, length=9), NoPositions, RelativeBias]
)
@pytest.mark.parametrize("inputs", INPUTS.values(), ids=INPUTS)
def test_equal_models_read_as_one(positions, inputs):
    vanilla = decoder(ScaledDotProduct, positions)
    cache = vanilla.new_cache(3, 9)
    with torch.no_grad():
        expected = vanilla(inputs)
        vanilla(inputs, cache)
    local = decoder(GivenPast, positions)
    torch.testing.assert_close(local(inputs, frozen(cache)), expected, rtol=0, atol=1e-12)


def test_neither_its_places_nor_its_keys_change_for_the_other_model():
    vanilla, local = decoder(ScaledDotProduct), decoder(GivenPast)
    cache = vanilla.new_cache(3, 5)
    with torch.no_grad():
        vanilla(INPUTS["padded"], cache)
    kept = [layer.keys.clone() for layer in cache.layers]
    given = frozen(cache)
    assert given.length == 0
    assert given.mask is None
    local(INPUTS["padded"], given).sum().backward()
    assert all(torch.equal(a, layer.keys) for a, layer in zip(kept, cache.layers, strict=True))
    with pytest.raises(ValueError, match=r"holds 5 positions: 5 more of 3 examples do not fit"):
        local(INPUTS["padded"], given)


def test_keys_of_another_shape_are_refused():
    layer = FrozenLayerCache(torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4))
    with pytest.raises(ValueError, match=r"shape \[2, 1, 3, 4\], this one has \[2, 2, 3, 2"):
        layer.extend(torch.zeros(2, 2, 3, 2), torch.zeros(2, 2, 3, 2))


@pytest.mark.parametrize("copies", [0, 1, 2])
def test_no_pass_reads_its_own_past(copies):
    """Neither without a cache nor with one that grows, nor with copies of a frozen one."""
    local = decoder(GivenPast)
    if not copies:
        with pytest.raises(ValueError, match=r"^GivenPast .* got none; train it with LocalLang"):
            local(INPUTS["plain"])
        return
    cache = local.new_cache(3, 5)
    if copies == 2:
        vanilla = decoder(ScaledDotProduct)
        cache = vanilla.new_cache(3, 5)
        vanilla(INPUTS["plain"], cache)
        cache = frozen(cache).repeat(1)
    with pytest.raises(ValueError, match=r"^GivenPast .* one step by step; generate with that"):
        local(INPUTS["plain"], cache)
