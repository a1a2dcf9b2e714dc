"""Published sizes have the authors' tensors, and every number of phases has a p that gives it."""

import math
from dataclasses import replace

import pytest

from framework.exchange.olmo.architecture import Architecture, p_of, phases

ONE_B = Architecture(  # OLMo-1B with RMSNorm, the skeleton of FANformer-1B
    dim=2048,
    depth=16,
    heads=16,
    kv_heads=16,
    hidden=8192,
    size=50304,
    length=2048,
    tied=True,
    eps=1e-6,
    theta=10000.0,
)
COUNTS = {  # measured on the authors' classes
    "plain": ({}, 1_176_832_000),
    "FANformer": ({"phases": 512}, 1_227_188_224),
    "p=.125": ({"phases": 256}, 1_235_580_928),
    "same parameters": ({"phases": 512, "hidden": 7680}, 1_176_856_576),
    "ATL": ({"phases": 0}, 1_243_973_632),
    "ATL, same parameters": ({"phases": 0, "hidden": 7508}, 1_176_733_696),
    "own values": ({"phases": 512, "value_phases": 512}, 1_210_435_584),
}


@pytest.mark.parametrize(("changes", "count"), COUNTS.values(), ids=COUNTS)
def test_as_many_parameters_as_published(changes, count):
    maps = replace(ONE_B, **changes).tensors("transformer.")
    assert sum(math.prod(shape) for one in maps for shape in one.theirs.values()) == count
    assert sum(math.prod(shape) for one in maps for shape in one.ours.values()) == count


def test_the_names_and_shapes_of_the_released_model():
    maps = replace(ONE_B, phases=512).tensors("model.transformer.")
    shapes = {name: shape for one in maps for name, shape in one.theirs.items()}
    assert len(shapes) == 2 + 16 * 8
    assert shapes["model.transformer.wte.weight"] == (50304, 2048)
    block = "model.transformer.blocks.15."
    assert {
        name.removeprefix(block): shapes[name] for name in shapes if name.startswith(block)
    } == {
        "attn_out.weight": (2048, 2048),
        "ff_out.weight": (2048, 8192),
        "att_proj.fanlayer.input_linear.weight": (1536, 2048),
        "att_proj.fanlayer.input_linear.bias": (1536,),
        "att_proj.linear.weight": (6144, 2048),
        "ff_proj.weight": (16384, 2048),
        "attn_norm.weight": (2048,),
        "ff_norm.weight": (2048,),
    }


def test_p_gives_back_the_phases():
    quotients_that_fail = 0
    for width in (*range(1, 300), 1536, 2560, 12289):
        for count in range(width // 2 + 1):
            p = p_of(count, width)
            assert 0 <= p <= 0.5
            assert int(p * width) == count
            assert abs(p - count / width) < 1e-15
            quotients_that_fail += int(count / width * width) != count
    assert quotients_that_fail > 100  # so it takes more than a division


def test_p_of_the_published_models():
    assert p_of(512, 2048) == 0.25
    assert phases(0.15, 2048) == 307  # the specification's example of a floor
