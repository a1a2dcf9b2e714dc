"""Reports of the analyses of this paper: tables, numbers and pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from framework.analysis.report import Numbers, Report
from framework.papers.myopic.figures import draw_gradients, draw_positions, draw_probes
from framework.papers.myopic.gradients import ALL, GradientParts
from framework.papers.myopic.positions import PositionLosses
from framework.papers.myopic.probes import ProbeScores

ROWS = 8  # most positions that a table shows


def report_positions(names: Sequence[str], losses: PositionLosses, weight: Tensor) -> Report:
    """Reports losses by position: some positions and the mean in the table, all in the numbers.

    Args:
        names: Names of the models.
        losses: The measured losses.
        weight: How much each position counts in the mean, `[T]`.
    """
    means, length = losses.mean(weight).tolist(), len(weight)
    others = [f"{name} - {names[0]}" for name in names[1:]]
    shown = torch.linspace(0, length - 1, min(ROWS, length)).round().long().tolist()
    columns = torch.cat((losses.loss, losses.gap[1:])).T  # [T, 2 M - 1]
    table = [["position", *names, *others]]
    table += [[str(t + 1), *map(_number, columns[t].tolist())] for t in shown]
    gaps = [mean - means[0] for mean in means[1:]]
    table.append(["mean", *map(_number, means + gaps)])
    head = ["position", "model", "loss", "gap", "error", "weight"]
    numbers: list[list[str | float]] = [list(head)]
    for k, name in enumerate(names):
        rows = zip(*(x[k].tolist() for x in losses), weight.tolist(), strict=True)
        numbers += [[t + 1, name, *row] for t, row in enumerate(rows)]
    pairs = zip(others, losses.gap[1:], losses.error[1:], strict=True)
    figure = draw_positions(
        dict(zip(names, losses.loss, strict=True)), {name: (gap, err) for name, gap, err in pairs}
    )
    metrics = dict(zip((f"positions/{name}" for name in names), means, strict=True))
    return Report("positions", table, numbers, metrics, figure)


def report_probes(scores: ProbeScores) -> Report:
    """Reports the scores of probes: a row per quantity, a column per layer."""
    layers = [f"layer {k}" for k in range(len(scores.r2))]
    named = list(zip(scores.names, scores.r2.T.tolist(), strict=True))
    table = [["R² of", *layers], *([name, *(f"{x:.3f}" for x in row)] for name, row in named)]
    metrics = {
        f"probes/layer {layer}/{name}": value
        for name, row in named
        for layer, value in enumerate(row)
        if not math.isnan(value)
    }
    numbers: Numbers = [["regressor", *layers], *([name, *row] for name, row in named)]
    return Report("probes", table, numbers, metrics, draw_probes(*scores))


def report_gradients(measured: Mapping[int, Mapping[str, GradientParts]]) -> Report:
    """Reports parts of gradients: of the last step by group, and over the steps.

    Args:
        measured: By step of the run and group of parameters, as `FutureGradient` measures them.
    """
    last = measured[max(measured)]
    head = ["group", "total", "myopic", "future", "cosine"]
    table = [head, *([group, *map(_number, parts)] for group, parts in last.items())]
    numbers: list[list[str | float]] = [["step", *head]]
    for step in sorted(measured):
        numbers += [[step, group, *parts] for group, parts in measured[step].items()]
    if len(measured) > 1:
        steps = sorted(measured)
        figure = draw_gradients(steps, [measured[step][ALL] for step in steps], "optimizer steps")
    else:
        groups = [group for group in last if group == ALL or group.startswith("block ")]
        figure = draw_gradients(groups, [last[group] for group in groups], "parameters of")
    return Report("gradients", table, numbers, scalars(last), figure)


def scalars(measured: Mapping[str, GradientParts]) -> dict[str, float]:
    """Names norms and cosines as a run logs them: of all parameters, and of each block.

    Example:
        >>> for name, value in scalars({"all": GradientParts(5.0, 4.0, 3.0, 0.0)}).items():
        ...     print(name, value)
        gradient/total 5.0
        gradient/myopic 4.0
        gradient/future 3.0
        gradient/cosine 0.0
    """
    found: dict[str, float] = {}
    for group, parts in measured.items():
        if group == ALL or group.startswith("block "):
            tail = "" if group == ALL else f"/{group}"
            values = parts._asdict().items()
            found |= {f"gradient/{name}{tail}": x for name, x in values if not math.isnan(x)}
    return found


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
