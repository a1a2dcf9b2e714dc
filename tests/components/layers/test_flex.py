"""FlexAttention gives what a matrix of booleans gives; its gradients need a GPU."""

from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from components.backbones import Decoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.flex import FlexAttention, _blocks
from components.layers.masks import Mask

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


@pytest.mark.slow
@pytest.mark.parametrize("length", [1, 128, 200, 1152])
@pytest.mark.parametrize("window", [None, 1, 2, 100, 128, 129, 256, 257, 400])
def test_blocks_are_those_of_the_matrix(length, window):
    """Of documents as short as a position and as long as a text; and without documents."""
    from torch.nn.attention.flex_attention import create_block_mask

    generator = torch.Generator().manual_seed(length)
    chances = torch.tensor([0.0, 0.002, 0.01, 0.3, 1.0])[:, None].expand(-1, length)
    opened = torch.bernoulli(chances, generator=generator).long()
    opened[1, 127::128] = 0
    opened[1, 128::256] = 1  # at the borders of blocks, too
    for documents in (None, opened.cumsum(1)):
        found = _blocks(documents, window, length, torch.device("cpu"))
        size = 1 if documents is None else len(documents)
        matrix = Mask(causal=True, documents=documents, window=window).as_matrix(
            length, length, torch.device("cpu")
        )
        dense = matrix.expand(size, -1, -1, -1)
        expected = create_block_mask(
            lambda b, h, q, k, dense=dense: dense[b, 0, q, k], size, None, length, length, "cpu"
        )
        for name, value in vars(expected).items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(getattr(found, name), value), name
        assert found.seq_lengths == expected.seq_lengths
        assert found.BLOCK_SIZE == expected.BLOCK_SIZE


@pytest.mark.slow
def test_no_matrix_is_built():
    """Nothing has as many elements as there are pairs of positions."""
    length, largest = 4096, 0

    class Largest(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            output = function(*args, **(kwargs or {}))
            for value in tree_leaves(output):
                if isinstance(value, torch.Tensor):
                    largest = max(largest, value.numel())
            return output

    documents = torch.arange(length).div(1000, rounding_mode="floor").expand(2, -1)
    with Largest():
        _blocks(documents, 1500, length, torch.device("cpu"))
    assert largest <= 2 * length


def test_mistakes_end_in_one_sentence():
    with pytest.raises(ValueError, match=r"cannot drop attention weights \(dropout=0.1\); set"):
        Decoder(16, 1, 2, attention=FlexAttention, dropout=0.1)
    given = Embedded(torch.zeros(1, 4, 16), documents=torch.zeros(1, 4, dtype=torch.int64))
    with pytest.raises(ValueError, match="FlexAttention has no gradient on a CPU; choose"):
        Decoder(16, 1, 2, attention=FlexAttention)(given)
    decoder = Decoder(16, 1, 2, attention=partial(ScaledDotProduct, scale=1.0))
    with pytest.raises(ValueError, match="have no padding, context or cache; drop these"):
        decoder(given, decoder.new_cache(1, 4))
