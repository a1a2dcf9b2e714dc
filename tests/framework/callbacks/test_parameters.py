"""The table of parameters against counts made by hand."""

from functools import partial

import torch
from torch import nn

from components import Decoder, EncoderDecoder, FanLayer, FanNetwork, FeedForward, SwiGLU
from framework.callbacks import ParameterTable
from framework.callbacks.parameters import count_parameters
from tests.framework.modules.fakes import data, module, trainer


def test_parts_are_counted_once():
    model = nn.Module()
    model.stem = nn.Linear(3, 5, bias=False)
    model.backbone = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    model.backbone[0].requires_grad_(False)
    model.head = nn.Linear(3, 5)
    model.head.weight = model.stem.weight  # tied: counts where it comes first
    model.losses = nn.ModuleDict()
    assert count_parameters(model) == [
        ["part", "class", "parameters", "trained"],
        ["stem", "Linear", "15", "15"],
        ["backbone", "Sequential", "60", "30"],
        ["head", "Linear", "5", "5"],
        ["total", "", "80", "50"],
    ]


FANS = partial(FanLayer, activation=nn.Identity)
NETWORK = partial(SwiGLU, hidden=20)
ATTENTION = 16 * 16 + 2 * 8 * 16 + 16 * 16  # queries, keys and values in groups, the way out


def rows(backbone):
    """What the table says of the blocks of a backbone."""
    model = nn.Module()
    model.backbone = backbone
    _, whole, *parts, total = count_parameters(model)
    assert whole[2:] == total[2:]
    assert total[2] == f"{sum(p.numel() for p in backbone.parameters()):,}"
    return [[name, kind, int(size.replace(",", ""))] for name, kind, size, _ in parts]


def test_blocks_are_shown_by_their_parts_and_widths():
    found = rows(Decoder(16, 3, 4, 2, projection=FANS, feedforward=NETWORK))
    assert found == [
        ["  3 x attention.projection", "FanLayer(16, 16, phases=4)", 3 * 12 * 17],
        ["  3 x attention", "Attention", 3 * ATTENTION],
        ["  3 x feedforward", "SwiGLU(16, hidden=20)", 3 * 3 * 16 * 20],
    ]


def test_values_of_their_own_are_shown():
    found = rows(Decoder(16, 1, 4, projection=FANS, value=FANS))
    assert [name for name, *_ in found] == [
        "  1 x attention.projection",
        "  1 x attention.value",
        "  1 x attention",
        "  1 x feedforward",
    ]
    assert found[-1][1:] == ["FeedForward(16, hidden=64)", 2 * 16 * 64]


def test_blocks_of_different_kinds():
    found = rows(EncoderDecoder(16, 2, 4, feedforward=partial(FeedForward, hidden=24)))
    assert found == [
        ["  4 x attention", "Attention", 4 * 4 * 16 * 16],
        ["  4 x feedforward", "FeedForward(16, hidden=24)", 4 * 2 * 16 * 24],
        ["  2 x cross", "CrossAttention", 2 * 4 * 16 * 16],
    ]
    assert rows(FanNetwork(16, 2)) == [["  2 x block", "FanLayer(16, 16, phases=4)", 2 * 12 * 17]]


def test_what_blocks_share_or_do_not_train():
    backbone = Decoder(16, 2, 4, feedforward=NETWORK)
    first, second = backbone.blocks
    second.feedforward.down.weight = first.feedforward.down.weight
    first.attention.out.weight.requires_grad_(False)
    model = nn.Module()
    model.backbone = backbone
    _, _, attention, network, _ = count_parameters(model)
    assert attention[2:] == [f"{2 * 1024:,}", f"{2 * 1024 - 256:,}"]
    assert network[2:] == [f"{2 * 960 - 320:,}"] * 2


def test_parameters_without_storage_are_counted():
    with torch.device("meta"):
        backbone = Decoder(4096, 2, 32, feedforward=partial(SwiGLU, hidden=15360))
    assert rows(backbone)[-1][1:] == ["SwiGLU(4096, hidden=15360)", 2 * 3 * 4096 * 15360]


def test_table_is_printed_when_the_run_starts(capsys):
    model = module()
    trainer(max_steps=1, callbacks=[ParameterTable()]).fit(model, data())
    lines = capsys.readouterr().out.splitlines()
    total = sum(p.numel() for p in model.parameters())
    assert lines[1] == "Parameters"
    starts = ["stem", "backbone", "  2 x linear", "head", "total"]
    assert [line[: len(start)] for line, start in zip(lines[4:], starts, strict=True)] == starts
    assert lines[-1].split() == ["total", str(total), str(total)]
    assert len({len(line) for line in lines[2:]}) == 1, "rows are aligned"
