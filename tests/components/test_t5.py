"""T5 as an encoder-decoder of ours: the same numbers and as many parameters as transformers'."""

from functools import partial

import pytest
import torch
from torch import nn

from components.backbones import EncoderDecoder
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.feedforward import FeedForward
from components.layers.positions import RelativeBias

VOCABULARY = 4096
SIZES = {  # width, width between, width of a head, heads, depth, published millions of parameters
    "tiny": (256, 1024, 64, 4, 4, "8"),
    "mini": (384, 1536, 64, 8, 4, "20.46"),
    "small": (512, 2048, 64, 8, 6, "46"),
    "base": (768, 3072, 64, 12, 12, "201"),
    "large": (1024, 4096, 64, 16, 24, "709"),
}


def t5(dim, hidden, head_dim, heads, depth):
    return EncoderDecoder(
        dim,
        depth,
        heads,
        head_dim=head_dim,
        positions=RelativeBias,
        attention=partial(ScaledDotProduct, scale=1.0),
        feedforward=partial(FeedForward, hidden=hidden, activation=nn.ReLU),
    )


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_those_of_chronos(size):
    """With a table of 4096 vectors that also reads out; our models have a head instead."""
    dim, hidden, head_dim, heads, depth, millions = SIZES[size]
    with torch.device("meta"):
        found = sum(each.numel() for each in t5(dim, hidden, head_dim, heads, depth).parameters())
    attention, network = 4 * dim * heads * head_dim, 2 * dim * hidden
    encoder = depth * (attention + network + 2 * dim) + dim + 32 * heads
    decoder = depth * (2 * attention + network + 3 * dim) + dim + 32 * heads
    assert found == encoder + decoder
    digits = len(millions.partition(".")[2])
    assert f"{(found + VOCABULARY * dim) / 1e6:.{digits}f}" == millions


def copy(theirs, block, cross):
    """Loads a block of transformers' T5 into one of ours."""

    def attend(ours, other):
        ours.query.weight.copy_(other.q.weight)
        ours.key_value.weight.copy_(torch.cat((other.k.weight, other.v.weight)))
        ours.out.weight.copy_(other.o.weight)

    own, *others, last = theirs.layer
    attend(block.attention, own.SelfAttention)
    block.attention_norm.weight.copy_(own.layer_norm.weight)
    if cross:
        attend(block.cross, others[0].EncDecAttention)
        block.cross_norm.weight.copy_(others[0].layer_norm.weight)
    block.feedforward.up.weight.copy_(last.DenseReluDense.wi.weight)
    block.feedforward.down.weight.copy_(last.DenseReluDense.wo.weight)
    block.feedforward_norm.weight.copy_(last.layer_norm.weight)


@torch.no_grad()
def test_hidden_states_are_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    options = transformers.T5Config(
        vocab_size=5, d_model=16, d_kv=6, d_ff=20, num_layers=2, num_heads=4, dropout_rate=0.0
    )
    theirs, ours = transformers.T5Model(options).double().eval(), t5(16, 20, 6, 4, 2).double()
    for parameter in theirs.parameters():
        nn.init.normal_(parameter, std=0.3)
    for position, block in enumerate(ours.blocks):
        stack = theirs.decoder if position >= 2 else theirs.encoder
        copy(stack.block[position % 2], block, position >= 2)
    for marks, norm, stack in (
        (ours.context_positions, ours.context_norm, theirs.encoder),
        (ours.positions, ours.norm, theirs.decoder),
    ):
        norm.weight.copy_(stack.final_layer_norm.weight)
        bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias
        marks.table.weight.copy_(bias.weight)
    context = torch.randn(2, 200, 16, dtype=torch.float64)  # some are beyond the reach of 128
    states = torch.randn(2, 170, 16, dtype=torch.float64)
    mask = torch.arange(200) >= torch.tensor([[0], [37]])
    expected = theirs(
        inputs_embeds=context, attention_mask=mask, decoder_inputs_embeds=states
    ).last_hidden_state
    found = ours(Embedded(states, context=context, context_mask=mask))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)  # their softmax is in float32
