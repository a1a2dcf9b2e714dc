"""Laws of all backbones: causality, padding, caches, initialization."""

import math
from functools import partial

import pytest
import torch

from components.backbones import MLP, Decoder, EncoderDecoder, FanNetwork, Perceptron
from components.interfaces import Embedded
from components.layers.attention import ScaledDotProduct
from components.layers.fan import FanLayer
from components.layers.feedforward import FeedForward, SwiGLU
from components.layers.norms import LayerNorm, RMSNorm
from components.layers.positions import Learned, NoPositions, RelativeBias, Rotary

FANFORMER = partial(FanLayer, activation=torch.nn.Identity)
DIM, BATCH, SIZE, CONTEXT = 16, 3, 6, 5


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


def build(make, dtype=torch.float64, **options):
    """Builds a backbone whose residual maps are not tiny, so that every path matters."""
    torch.manual_seed(0)
    backbone = make(**options)
    for parameter in backbone.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    return backbone.to(dtype).eval()


def inputs(make, padded=False, size=SIZE, dtype=torch.float64):
    torch.manual_seed(1)
    states = torch.randn(BATCH, size, DIM, dtype=dtype)
    context = torch.randn(BATCH, CONTEXT, DIM, dtype=dtype)
    sees = make in READERS.values()
    mask = torch.arange(size) >= torch.tensor([[0], [2], [4]])
    context_mask = torch.arange(CONTEXT) >= torch.tensor(
        [[1], [0], [5]]
    )  # one has no context at all
    return Embedded(
        states,
        mask if padded else None,
        context if sees else None,
        context_mask if padded and sees else None,
    )


cases = pytest.mark.parametrize("make", ALL.values(), ids=ALL.keys())
readers = pytest.mark.parametrize("make", READERS.values(), ids=READERS.keys())
padding = pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])


@cases
@padding
def test_hidden_states_depend_on_no_later_state(make, padded):
    backbone, given = build(make), inputs(make, padded)
    states = given.states.requires_grad_()
    hidden = backbone(given._replace(states=states))
    for s in range(SIZE):
        (gradient,) = torch.autograd.grad(hidden[:, s].square().sum(), states, retain_graph=True)
        assert not gradient[:, s + 1 :].any()
        assert gradient[:, s].abs().sum(-1).min() > 0


@readers
def test_hidden_states_depend_on_all_that_came_before_and_on_all_context(make):
    backbone, given = build(make), inputs(make)
    states, context = given.states.requires_grad_(), given.context.requires_grad_()
    hidden = backbone(given._replace(states=states, context=context))
    for s in range(SIZE):
        before, around = torch.autograd.grad(
            hidden[:, s].square().sum(), (states, context), retain_graph=True
        )
        assert before[:, : s + 1].abs().sum(-1).min() > 0
        assert around.abs().sum(-1).min() > 0


@pytest.mark.parametrize("make", DECODERS.values(), ids=DECODERS.keys())
def test_decoder_without_context_is_causal_and_equals_its_masked_self(make):
    backbone, given = build(make), inputs(make)._replace(context=None)
    everything = torch.ones(BATCH, SIZE, dtype=torch.bool)
    fast, masked = backbone(given), backbone(given._replace(mask=everything))
    torch.testing.assert_close(fast, masked, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "context"),
    [
        pytest.param(make, context, id=f"{name}-{'context' if context else 'alone'}")
        for name, make in ALL.items()
        for context in (True, False)
        if context or name not in ENCODER_DECODERS
    ],
)
@padding
@pytest.mark.parametrize("chunks", [(1,) * SIZE, (3, 1, 2)], ids=["singly", "chunks"])
def test_growing_a_cache_equals_one_call(make, padded, context, chunks):
    backbone, given = build(make), inputs(make, padded)
    if not context:
        given = given._replace(context=None, context_mask=None)
    with torch.no_grad():
        whole = backbone(given)
        cache, start, parts = backbone.new_cache(BATCH, CONTEXT + SIZE), 0, []
        for size in chunks:
            part = given if start == 0 else Embedded(given.states)
            window = slice(start, start + size)
            mask = None if given.mask is None else given.mask[:, window]
            parts.append(backbone(part._replace(states=given.states[:, window], mask=mask), cache))
            start += size
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0, atol=1e-10)


@cases
def test_a_repeated_cache_continues_each_example(make):
    backbone, given, samples = build(make), inputs(make, padded=True), 4
    continued = torch.randn(BATCH * samples, 2, DIM, dtype=torch.float64)
    with torch.no_grad():
        cache = backbone.new_cache(BATCH, CONTEXT + SIZE + 2)
        backbone(given, cache)
        repeated = cache.repeat(samples)
        sampled = torch.cat(
            [backbone(Embedded(continued[:, i : i + 1]), repeated) for i in (0, 1)], 1
        )
        each = [None if part is None else part.repeat_interleave(samples, 0) for part in given]
        states = torch.cat((each[0], continued), 1)
        mask = torch.cat((each[1], torch.ones(BATCH * samples, 2, dtype=torch.bool)), 1)
        whole = backbone(Embedded(states, mask, *each[2:]))
        torch.testing.assert_close(sampled, whole[:, SIZE:], rtol=0, atol=1e-10)
        if make in READERS.values():
            assert (
                cache.layers[0].length + 2 == repeated.layers[0].length
            )  # the original is untouched


@cases
def test_padding_changes_nothing(make):
    backbone, given = build(make), inputs(make, padded=True)
    with torch.no_grad():
        together = backbone(given)
        noisy = given._replace(states=given.states.masked_fill(~given.mask[..., None], 1e3))
        again = backbone(noisy)
        for example in range(BATCH):
            keep = given.mask[example]
            alone = Embedded(given.states[example, keep][None])
            if given.context is not None and given.context_mask[example].any():
                alone = alone._replace(
                    context=given.context[example, given.context_mask[example]][None]
                )
            elif make in ENCODER_DECODERS.values():
                alone = alone._replace(
                    context=given.context[example][None],
                    context_mask=given.context_mask[example][None],
                )
            torch.testing.assert_close(
                together[example, keep], backbone(alone)[0], rtol=0, atol=1e-10
            )
            torch.testing.assert_close(together[example, keep], again[example, keep])


@cases
def test_no_nan_where_nothing_is_seen(make):
    backbone, given = build(make), inputs(make)
    nothing = torch.zeros(BATCH, SIZE, dtype=torch.bool)
    context_mask = None if given.context is None else torch.zeros(BATCH, CONTEXT, dtype=torch.bool)
    hidden = backbone(given._replace(mask=nothing, context_mask=context_mask))
    hidden.sum().backward()
    assert hidden.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in backbone.parameters())


@cases
def test_gradients_reach_every_parameter(make):
    backbone = build(make)
    backbone(inputs(make, padded=True)).square().sum().backward()
    silent = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@cases
def test_runs_under_bf16_autocast_and_stays_close(make):
    backbone = build(make, torch.float32)
    given = inputs(make, padded=True, dtype=torch.float32)
    exact = backbone(given)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = backbone(given)
        rounded.float().square().sum().backward()
    assert (rounded.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())
def test_an_empty_shell_is_initialized_by_its_modules(make):
    with torch.device("meta"):
        backbone = make()
    backbone.to_empty(device="cpu")
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
    backbone, given = build(DECODERS["rotary"], dropout=0.5), inputs(DECODERS["rotary"])
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
        ValueError, match="EncoderDecoder has no context to encode; choose Decoder"
    ):
        EncoderDecoder(DIM, 1, 4)(given)
    with pytest.raises(ValueError, match=r"MLP .* cannot see the context of 17 positions"):
        MLP(DIM, 1)(Embedded(given.states, context=given.states))


@readers
def test_a_cache_refuses_what_does_not_fit(make):
    backbone, given = build(make), inputs(make)
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
    backbone, given = build(make, torch.float32), inputs(make, dtype=torch.float32)
    given = given._replace(context=None)
    exact = backbone(given)
    for block in backbone.blocks:
        block.compile()
    torch.testing.assert_close(backbone(given), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backbone", [Decoder, EncoderDecoder])
@pytest.mark.parametrize("option", ["dim", "depth", "heads"])
def test_sizes_below_one_are_refused(backbone, option):
    sizes = {"dim": 8, "depth": 1, "heads": 2, option: 0}
    with pytest.raises(ValueError, match=rf"^{backbone.__name__}: {option}=0 is too small"):
        backbone(**sizes)
