"""FlexAttention gives what a matrix of booleans gives; its gradients need a GPU."""

from functools import partial

import pytest
import torch

from components.backbones import Decoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.flex import FlexAttention

DOCUMENTS = torch.tensor([[0] * 3 + [1] * 140 + [2] * 57, [5] * 200])


@pytest.mark.slow  # the kernel takes seconds to import
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_skipped_blocks_change_nothing():
    """Of more than one block of 128 positions, with groups of heads; and without documents."""
    torch.manual_seed(0)
    plain = Decoder(16, 2, 4, kv_heads=2, window=[None, 50]).eval()
    flex = Decoder(16, 2, 4, kv_heads=2, window=[None, 50], attention=FlexAttention).eval()
    flex.load_state_dict(plain.state_dict())
    states = torch.randn(2, 200, 16)
    with torch.no_grad():
        for documents in (DOCUMENTS, None):
            given = Embedded(states, documents=documents)
            torch.testing.assert_close(flex(given), plain(given))


def test_mistakes_end_in_one_sentence():
    with pytest.raises(ValueError, match=r"cannot drop attention weights \(dropout=0.1\); set"):
        Decoder(16, 1, 2, attention=FlexAttention, dropout=0.1)
    given = Embedded(torch.zeros(1, 4, 16), documents=torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="FlexAttention has no gradient on a CPU; choose"):
        Decoder(16, 1, 2, attention=FlexAttention)(given)
    decoder = Decoder(16, 1, 2, attention=partial(ScaledDotProduct, scale=1.0))
    with pytest.raises(ValueError, match="have no padding, context or cache; drop these"):
        decoder(given, decoder.new_cache(1, 4))
