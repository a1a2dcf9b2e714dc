"""FANformer is the Decoder with a FAN layer in front: golden values and consequences."""

import json
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from components.backbones import Decoder
from components.initializations import Mitchell
from components.interfaces import Embedded
from components.layers.fan import FanLayer
from components.layers.feedforward import SwiGLU
from components.layers.linear import Linear
from components.layers.norms import RMSNorm

GOLDEN = json.loads(Path(__file__).with_name("fanformer.json").read_text())
IDS = torch.tensor(GOLDEN["definition"]["ids"])
KEY_VALUE = "attention.key_value.weight"
ACTIVATIONS = {"identity": nn.Identity, "gelu": nn.GELU}
OURS = {  # of a block, by the authors' name: which number fills it, and our parameters, row by row
    "attn_norm.weight": (2, ["attention_norm.weight"]),
    "att_proj.fanlayer.input_linear.weight": (3, ["attention.projection.weight"]),
    "att_proj.fanlayer.input_linear.bias": (4, ["attention.projection.bias"]),
    "att_proj.linear.weight": (5, ["attention.query.weight", KEY_VALUE]),
    "att_proj.weight": (6, ["attention.query.weight", KEY_VALUE]),
    "v_fan.input_linear.weight": (7, ["attention.value.weight"]),
    "v_fan.input_linear.bias": (8, ["attention.value.bias"]),
    "attn_out.weight": (9, ["attention.out.weight"]),
    "ff_norm.weight": (10, ["feedforward_norm.weight"]),
    "ff_proj.weight": (11, ["feedforward.up_gate.weight"]),
    "ff_out.weight": (12, ["feedforward.down.weight"]),
}


def fanformer(dim=8, depth=2, heads=2, hidden=12, p=0.25, activation=nn.Identity, **options):
    layer = partial(FanLayer, p=p, activation=activation)
    swiglu = partial(SwiGLU, hidden=hidden)
    return Decoder(dim, depth, heads, projection=layer, feedforward=swiglu, **options)


def plain(dim=8, depth=2, heads=2, hidden=12, **options):
    return Decoder(dim, depth, heads, feedforward=partial(SwiGLU, hidden=hidden), **options)


def built(config):
    """Builds the decoder of a golden case."""
    if not config["atf"]:
        return plain()
    activation = ACTIVATIONS[config["activation"]]
    own = partial(FanLayer, p=config["p"], activation=activation)
    value = own if config["block"] == "fanformer" else None
    return fanformer(p=config["p"], activation=activation, value=value)


def filler(*shape, k):
    """The deterministic numbers of the golden cases, rounded to float32 as theirs were."""
    i = torch.arange(math.prod(shape), dtype=torch.float64)
    return (((i + 1) * 7919 + (k + 1) * 104729) % 1009 / 1009 - 0.5).reshape(shape)


@torch.no_grad()
def fill(model, vectors, expected):
    """Fills a decoder and an embedding; returns our parameters by the authors' names."""
    found = {"wte.weight": (0, [vectors]), "ln_f.weight": (1, [model.norm.weight])}
    for layer, block in enumerate(model.blocks):
        own = dict(block.named_parameters())
        if "attention.value.weight" in own:
            own[KEY_VALUE] = own["attention.key.weight"]
        found |= {
            f"blocks.{layer}.{theirs}": (k + 20 * layer, [own[name] for name in ours])
            for theirs, (k, ours) in OURS.items()
            if f"blocks.{layer}.{theirs}" in expected
        }
    for theirs, (k, parts) in found.items():
        u = filler(sum(map(len, parts)), *parts[0].shape[1:], k=k)
        values = (1 + 0.4 * u if "norm" in theirs or "ln_f" in theirs else 2 * u).float()
        for part, rows in zip(parts, values.split([*map(len, parts)]), strict=True):
            part.copy_(rows)
    return {theirs: parts for theirs, (_, parts) in found.items()}


def run(case, dtype):
    model = built(case["config"]).to(dtype)
    vectors = nn.Parameter(torch.empty(11, 8, dtype=dtype))
    found = fill(model, vectors, case["float64"]["grad_l2"])
    assert found.keys() == case["float64"]["grad_l2"].keys()
    assert sum(each.numel() for each in (vectors, *model.parameters())) == case["n_params"]
    logits = (model(Embedded(vectors[IDS][None])) @ vectors.T)[0]
    loss = cross_entropy(logits[:-1], IDS[1:])
    loss.backward()
    norms = {
        name: torch.cat([part.grad for part in parts]).norm().item()
        for name, parts in found.items()
    }
    return model, vectors, logits.detach(), loss.item(), norms


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_whole_models_give_the_numbers_of_the_authors(case):
    official = case["official_fp32"]
    _, _, logits, loss, norms = run(case, torch.float32)
    assert loss == pytest.approx(official["loss"], rel=1e-4)
    assert logits[0].tolist() == pytest.approx(official["logits_pos0"], rel=1e-4, abs=1e-5)
    assert logits[7].tolist() == pytest.approx(official["logits_pos7"], rel=1e-4, abs=1e-5)
    assert norms == pytest.approx(official["grad_l2"], rel=1e-4)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_whole_models_agree_in_double_precision(case):
    # to all digits that the golden values have: eight behind the point
    wanted = case["float64"]
    _, _, logits, loss, norms = run(case, torch.float64)
    assert loss == pytest.approx(wanted["loss"], abs=1e-8)
    for row, expected in zip(logits.tolist(), wanted["logits"], strict=True):
        assert row == pytest.approx(expected, abs=1e-8)
    assert norms == pytest.approx(wanted["grad_l2"], abs=1e-8)


def test_intermediate_values_of_the_first_block():
    wanted = GOLDEN["cases"][0]["float64"]["intermediates_layer0_pos0"]
    model, vectors, *_ = run(GOLDEN["cases"][0], torch.float64)
    block = model.blocks[0]
    hidden = block.attention_norm(vectors[IDS[0]])
    features = block.attention.projection(hidden)
    mixed = torch.cat((block.attention.query(features), block.attention.key_value(features)))
    for name, value in (("h", hidden), ("XF", features), ("qkv", mixed)):
        assert value[: len(wanted[name])].tolist() == pytest.approx(wanted[name], abs=1e-8)


def hidden_states(model, states):
    with torch.no_grad():
        return model(Embedded(states))


@pytest.fixture
def states():
    torch.manual_seed(0)
    return torch.randn(2, 7, 8, dtype=torch.float64)


def copy_shared(source, target):
    """Copies what two decoders have in common; returns the names of what the second has alone."""
    return target.load_state_dict(source.state_dict(), strict=False).missing_keys


def test_without_phases_and_with_the_unit_matrix_it_is_plain_attention(states):
    simple, atl = plain().double(), fanformer(p=0.0).double()
    for name in copy_shared(simple, atl):
        parameter = atl.get_parameter(name)
        nn.init.eye_(parameter) if parameter.ndim == 2 else nn.init.zeros_(parameter)
    assert torch.equal(hidden_states(atl, states), hidden_states(simple, states))


def test_without_phases_it_is_attention_with_the_product_of_two_matrices(states):
    # and with their constants, W b: p = 0 is one more linear map, not plain attention
    atl, folded = fanformer(p=0.0).double(), plain(bias=True).double()
    folded.load_state_dict(atl.state_dict(), strict=False)
    with torch.no_grad():
        for layer, block in zip(atl.blocks, folded.blocks, strict=True):
            first = layer.attention.projection
            for name in ("query", "key_value"):
                matrix = layer.attention.get_submodule(name).weight
                target = block.attention.get_submodule(name)
                target.weight.copy_(matrix @ first.weight)
                target.bias.copy_(matrix @ first.bias)
    torch.testing.assert_close(hidden_states(folded, states), hidden_states(atl, states))


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_the_layer_stays_as_wide_as_the_states_whatever_the_heads_share(kv_heads):
    model = fanformer(dim=16, heads=4, kv_heads=kv_heads)
    attention = model.blocks[0].attention
    assert attention.projection.weight.shape == (12, 16)
    rows = len(attention.query.weight) + len(attention.key_value.weight)
    assert rows == 16 + 2 * kv_heads * 4
    own = fanformer(dim=16, heads=4, kv_heads=kv_heads, value=FanLayer).blocks[0].attention
    assert len(own.key.weight) == 4 * kv_heads
    assert own.value.weight.shape == (3 * kv_heads, 16)  # dp = kv_heads · 4 / 4 phases
    assert not hasattr(own, "key_value")


@pytest.mark.parametrize("value", [None, partial(FanLayer, activation=nn.Identity)])
def test_a_cache_of_plain_shape_continues_it_exactly(value, states):
    model = fanformer(value=value).double()
    whole, cache = hidden_states(model, states), model.new_cache(2, 7)
    with torch.no_grad():
        steps = [model(Embedded(states[:, t : t + 1]), cache) for t in range(7)]
    torch.testing.assert_close(torch.cat(steps, 1), whole)
    reference = plain().double()
    other = reference.new_cache(2, 7)
    with torch.no_grad():
        reference(Embedded(states), other)
    for layer, expected in zip(cache.layers, other.layers, strict=True):
        assert layer.keys.shape == expected.keys.shape
        assert layer.values.shape == expected.values.shape


@pytest.mark.parametrize(("p", "fraction"), [(0.0, 1.0), (0.125, 0.875), (0.25, 0.75), (0.5, 0.5)])
def test_a_layer_adds_the_parameters_of_the_formula(p, fraction):
    def count(model):
        return sum(each.numel() for each in model.parameters())

    dim, depth = 32, 3
    added = count(fanformer(dim, depth, p=p)) - count(plain(dim, depth))
    assert added == depth * fraction * (dim**2 + dim)
    # as many as 2/3 (1 - p) d rows of the matrix that widens in SwiGLU, but for constants
    narrower = 12 * dim - fraction * dim / 3
    saved = depth * 3 * dim * (12 * dim - narrower)
    assert added - saved == pytest.approx(depth * fraction * dim)


def test_has_no_constants_but_those_of_the_layer():
    named = dict(fanformer(value=FanLayer).named_parameters())
    assert {name.split(".", 2)[-1] for name in named if name.endswith("bias")} == {
        "attention.projection.bias",
        "attention.value.bias",
    }


def test_bias_adds_constants_to_all_maps_of_attention():
    attention = plain(bias=True).blocks[0].attention
    maps = [module for module in attention.modules() if isinstance(module, Linear)]
    assert len(maps) == 3
    assert all(module.bias.abs().sum() == 0 for module in maps)


def test_phases_start_at_about_one_radian():
    torch.manual_seed(0)
    model = fanformer(dim=256, depth=1, heads=4)
    Mitchell().apply(nn.Identity(), model, nn.Identity())
    states = RMSNorm(256)(torch.randn(64, 256))
    layer = model.blocks[0].attention.projection
    phases = states @ layer.weight[: layer.phases].T + layer.bias[: layer.phases]
    assert phases.std().item() == pytest.approx(1.0, abs=0.1)
