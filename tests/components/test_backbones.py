"""Laws of all backbones: causality, padding, caches, initialization."""

import math
from functools import partial

import pytest
import torch

from components.backbones import MLP, Decoder, EncoderDecoder, FanNetwork, Perceptron
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.block import ParallelBlock, PostNormBlock, SandwichBlock
from components.layers.fan import FanFeedForward, FanLayer
from components.layers.feedforward import FeedForward, SwiGLU
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned, NoPositions, RelativeBias, Rotary
from components.layers.rotary_scaling import YarnScaling
from components.testing import BACKBONE_LAWS, CONTEXT_LAWS
from components.testing.backbones import (
    BATCH,
    CONTEXT,
    SIZE,
    built,
    inputs,
)

FANFORMER = partial(FanLayer, activation=torch.nn.Identity)
DIM = 16


class Short(Learned):
    """Learned positions for the lengths of these tests."""

    def __init__(self, dim, heads, head_dim):
        super().__init__(dim, heads, head_dim, length=16)


class Near(RelativeBias):
    """Relative biases whose buckets the short sequences of these tests fill."""

    def __init__(self, dim, heads, head_dim):
        super().__init__(dim, heads, head_dim, buckets=4, reach=3)


DECODERS = {
    "rotary": lambda **k: Decoder(DIM, 2, 4, **k),
    "gpt2": lambda **k: Decoder(DIM, 2, 4, norm=LayerNorm, positions=Short, **k),
    "grouped": lambda **k: Decoder(DIM, 2, 4, kv_heads=2, feedforward=SwiGLU, **k),
    "biased": lambda **k: Decoder(
        DIM, 2, 4, kv_heads=2, head_dim=6, positions=Near, feedforward=FeedForward, **k
    ),
    "multi-query": lambda **k: Decoder(DIM, 2, 4, kv_heads=1, positions=NoPositions, **k),
    "fanformer": lambda **k: Decoder(
        DIM, 2, 4, kv_heads=2, projection=FANFORMER, feedforward=SwiGLU, **k
    ),
    "fan feed-forward": lambda **k: Decoder(
        DIM, 2, 4, feedforward=partial(FanFeedForward, hidden=12), **k
    ),
    "windows": lambda **k: Decoder(
        DIM,
        2,
        4,
        kv_heads=2,
        bias="qkv",
        qk_norm=RMSNorm,
        qk_norm_over="all",
        norm=partial(LayerNorm, affine=False),
        block=PostNormBlock,
        positions=partial(Rotary, scaling=YarnScaling(factor=2.0, length=4)),
        window=[3, None],
        window_positions=partial(Rotary, fraction=0.5),
        **k,
    ),
    "bounded": lambda **k: Decoder(
        DIM, 2, 4, clip_qkv=0.5, attention=partial(ScaledDotProduct, cap=0.1), **k
    ),
    "parallel": lambda **k: Decoder(DIM, 2, 4, block=ParallelBlock, **k),
    "sandwich": lambda **k: Decoder(
        DIM, 2, 4, block=SandwichBlock, positions=Near, window=[None, 3], **k
    ),
    "own values": lambda **k: Decoder(
        DIM, 2, 4, kv_heads=2, projection=FANFORMER, value=FANFORMER, bias=True, **k
    ),
}
ENCODER_DECODERS = {
    "rotary-pair": lambda **k: EncoderDecoder(DIM, 2, 4, **k),
    "t5": lambda **k: EncoderDecoder(
        DIM,
        2,
        4,
        head_dim=6,
        positions=Near,
        attention=partial(ScaledDotProduct, scale=1.0),
        feedforward=partial(FeedForward, activation=torch.nn.ReLU),
        **k,
    ),
    "t5-grouped": lambda **k: EncoderDecoder(
        DIM, 2, 4, kv_heads=2, positions=Short, feedforward=SwiGLU, norm=LayerNorm, **k
    ),
}
POSITION_WISE = {"mlp": lambda **k: MLP(DIM, 2, **k)}
PLAIN = {  # nothing is normalized, and layers start as torch's own do
    "perceptron": lambda **k: Perceptron(DIM, 2, activation=torch.nn.GELU, **k),
    "fan": lambda **k: FanNetwork(DIM, 2, **k),
    "gated-fan": lambda **k: FanNetwork(DIM, 2, gated=True, **k),
}
STREAMS = DECODERS | ENCODER_DECODERS | POSITION_WISE  # those that add to a residual stream
ALL = STREAMS | PLAIN
READERS = DECODERS | ENCODER_DECODERS  # those that see a context


readers = pytest.mark.parametrize("make", READERS.values(), ids=READERS.keys())


@pytest.mark.parametrize(
    ("make", "context"),
    [
        pytest.param(make, context, id=f"{name}-{'context' if context else 'alone'}")
        for name, make in ALL.items()
        for context in (True, False)
        if (name in READERS if context else name not in ENCODER_DECODERS)
    ],
)
@pytest.mark.parametrize("law", BACKBONE_LAWS, ids=lambda law: law.__name__)
def test_every_backbone(law, make, context):
    law(make, context)


@readers
@pytest.mark.parametrize("law", CONTEXT_LAWS, ids=lambda law: law.__name__)
def test_every_backbone_that_reads_a_context(law, make):
    law(make)


@readers
def test_the_original_of_a_repeated_cache_is_left_as_it_was(make):
    backbone = built(make)
    cache = backbone.new_cache(BATCH, CONTEXT + SIZE + 2)
    with torch.no_grad():
        backbone(inputs(backbone, context=True), cache)
        repeated = cache.repeat(2)
        backbone(Embedded(torch.zeros(2 * BATCH, 2, DIM, dtype=torch.float64)), repeated)
    assert repeated.layers[0].length == cache.layers[0].length + 2


@pytest.mark.parametrize("make", DECODERS.values(), ids=DECODERS.keys())
def test_decoder_without_context_is_causal_and_equals_its_masked_self(make):
    backbone = built(make)
    given = inputs(backbone)
    everything = torch.ones(BATCH, SIZE, dtype=torch.bool)
    fast, masked = backbone(given), backbone(given._replace(mask=everything))
    torch.testing.assert_close(fast, masked, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())
def test_an_empty_shell_is_initialized_by_its_modules(make):
    with torch.device("meta"):
        backbone = make()
    backbone.to_empty(device="cpu")
    torch.manual_seed(0)
    for tensor in (*backbone.parameters(), *backbone.buffers()):
        torch.nn.init.constant_(tensor, math.nan)
    for module in backbone.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    assert not list(backbone.buffers())
    for name, parameter in backbone.named_parameters():
        assert parameter.isfinite().all(), name
        if parameter.dim() == 2:
            writes = name.endswith(("out.weight", "down.weight"))
            writers = len(make().blocks) // (2 if make in ENCODER_DECODERS.values() else 1)
            parts = 1 if make in POSITION_WISE.values() else 3 if _decodes(make, name) else 2
            std = 0.02 / math.sqrt(parts * writers) if writes else 0.02
            if "attention.projection" in name or "attention.value" in name:
                std = 1 / math.sqrt(3 * DIM)  # a FAN layer starts as torch's own linear maps do
            assert parameter.std().item() == pytest.approx(std, rel=0.25), name


def _decodes(make, name):
    return make in ENCODER_DECODERS.values() and name.startswith(("blocks.2", "blocks.3"))


def test_dropout_acts_in_training_only():
    backbone = built(partial(DECODERS["rotary"], dropout=0.5))
    given = inputs(backbone)
    assert torch.equal(backbone(given), backbone(given))
    backbone.train()
    assert not torch.equal(backbone(given), backbone(given))


def test_mistakes_are_one_sentence():
    with pytest.raises(ValueError, match="dim=16 is not divisible by heads=3; choose heads"):
        Decoder(16, 1, 3)
    with pytest.raises(
        ValueError, match=r"heads=4 is not divisible by kv_heads=3; .* divide heads"
    ):
        Decoder(16, 1, 4, kv_heads=3)
    with pytest.raises(ValueError, match="heads of odd width 3; choose an even width"):
        Decoder(12, 1, 4)
    given = Embedded(torch.zeros(1, 17, DIM))
    with pytest.raises(
        ValueError, match="end at length=16, but the sequence has 17; raise length"
    ):
        Decoder(DIM, 1, 4, positions=Short)(given)
    with pytest.raises(ValueError, match="end at length=16, but the sequence has 17"):
        Decoder(DIM, 1, 4, positions=Short).new_cache(1, 17)
    with pytest.raises(
        ValueError, match=r"EncoderDecoder has no context to encode, .*; give pairs"
    ):
        EncoderDecoder(DIM, 1, 4)(given)
    with pytest.raises(ValueError, match=r"MLP .* cannot see the context of 17 positions"):
        MLP(DIM, 1)(Embedded(given.states, context=given.states))


@readers
def test_a_cache_refuses_what_does_not_fit(make):
    backbone = built(make)
    given = inputs(backbone, context=True)
    cache = backbone.new_cache(BATCH, SIZE + CONTEXT)
    with torch.no_grad():
        backbone(given, cache)
        with pytest.raises(ValueError, match=r"context .*first call only"):
            backbone(given, cache)
        with pytest.raises(ValueError, match="do not fit; call new_cache"):
            backbone(Embedded(given.states.repeat(1, 3, 1)), cache)


def test_options_choose_the_parts():
    backbone = Decoder(DIM, 1, 2, norm=LayerNorm, feedforward=SwiGLU, positions=Rotary)
    block = backbone.blocks[0]
    assert isinstance(block.feedforward, SwiGLU)
    assert isinstance(block.attention_norm, LayerNorm)
    assert isinstance(Decoder(DIM, 1, 2).blocks[0].feedforward, FeedForward)
    assert isinstance(Decoder(DIM, 1, 2).norm, RMSNorm)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler warns of its own workings
def test_a_block_compiles_to_the_same_numbers():
    make = DECODERS["grouped"]
    backbone = built(make, torch.float32)
    given = inputs(backbone, dtype=torch.float32)
    with torch.no_grad():  # or it would compile the backward pass, too
        exact = backbone(given)
        backbone.blocks[0].compile(backend="aot_eager")  # code is generated for myopic ones
        torch.testing.assert_close(backbone(given), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", [Decoder, EncoderDecoder])
@pytest.mark.parametrize("option", ["dim", "depth", "heads"])
def test_sizes_below_one_are_refused(backbone, option):
    sizes = {"dim": 8, "depth": 1, "heads": 2, option: 0}
    with pytest.raises(ValueError, match=rf"^{backbone.__name__}: {option}=0 is too small"):
        backbone(**sizes)
