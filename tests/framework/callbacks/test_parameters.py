"""The table of parameters against counts made by hand."""

from torch import nn

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


def test_table_is_printed_when_the_run_starts(capsys):
    model = module()
    trainer(max_steps=1, callbacks=[ParameterTable()]).fit(model, data())
    lines = capsys.readouterr().out.splitlines()
    total = sum(p.numel() for p in model.parameters())
    assert lines[1] == "Parameters"
    assert [line.split()[0] for line in lines[4:]] == ["stem", "backbone", "head", "total"]
    assert lines[-1].split() == ["total", str(total), str(total)]
    assert len({len(line) for line in lines[2:]}) == 1, "rows are aligned"
