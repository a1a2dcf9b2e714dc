"""A cache whose keys and values stay: a pass with it is an ordinary one, but for the past."""

from functools import partial

import pytest
import torch

from components.backbones import Decoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.cache import FrozenSlot
from components.layers.myopic.attention import GivenPast
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
    torch.testing.assert_close(local(inputs, cache.frozen()), expected, rtol=0, atol=1e-12)


def test_neither_its_places_nor_its_keys_change_for_the_other_model():
    vanilla, local = decoder(ScaledDotProduct), decoder(GivenPast)
    cache = vanilla.new_cache(3, 5)
    with torch.no_grad():
        vanilla(INPUTS["padded"], cache)
    kept = [slot.keys.clone() for slot in cache.slots]
    frozen = cache.frozen()
    assert frozen.length == 0
    assert frozen.mask is None
    local(INPUTS["padded"], frozen).sum().backward()
    assert all(torch.equal(a, slot.keys) for a, slot in zip(kept, cache.slots, strict=True))
    with pytest.raises(ValueError, match=r"holds 5 positions: 5 more of 3 examples do not fit"):
        local(INPUTS["padded"], frozen)


def test_a_copy_for_several_samples_stays_frozen():
    keys = torch.arange(6.0).view(2, 1, 3, 1)
    slot = FrozenSlot(keys, -keys).repeat(2)
    found, values = slot.extend(torch.zeros(4, 1, 3, 1), torch.zeros(4, 1, 3, 1))
    assert found[:, 0, :, 0].tolist() == [[0, 1, 2], [0, 1, 2], [3, 4, 5], [3, 4, 5]]
    assert torch.equal(values, -found)


def test_keys_of_another_shape_are_refused():
    slot = FrozenSlot(torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4))
    with pytest.raises(
        ValueError, match=r"shape \[2, 1, 3, 4\], where the model has \[2, 2, 3, 2"
    ):
        slot.extend(torch.zeros(2, 2, 3, 2), torch.zeros(2, 2, 3, 2))


def test_nothing_grows_without_the_other_model():
    with pytest.raises(ValueError, match=r"^Decoder with GivenPast sees what another model made"):
        decoder(GivenPast).new_cache(3, 5)
    with pytest.raises(ValueError, match=r"^GivenPast .* there are none"):
        decoder(GivenPast)(INPUTS["plain"])
