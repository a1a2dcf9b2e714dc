"""Reports of edits: tables, numbers and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from framework.analysis.report import Numbers, Report
from framework.papers.token_encoding.editing.directions import PAPER
from framework.papers.token_encoding.editing.effects import Effect
from framework.papers.token_encoding.editing.rules import EditRequest, Rule, named
from framework.papers.token_encoding.editing.study import (
    SCALES,
    Agreement,
    Trial,
    agreement,
    by_rule,
)
from framework.papers.token_encoding.figures.edits import draw_edits

COLUMNS = 6  # tokens that a table shows, at most

Effects = Mapping[str, Mapping[str, Effect]]
"""By split and name of the rule, what edits do there."""


def report_edits(
    request: EditRequest,
    rules: Sequence[Rule],
    chosen: Rule,
    effects: Effects,
    held_out: str,
    name: Callable[[int], str],
) -> Report:
    """Reports effects of an edit: the chosen one, that of the paper, then all others.

    Args:
        request: What was requested.
        rules: All that apply.
        chosen: One of them.
        effects: What each of them does.
        held_out: The split on which the others are shown.
        name: Names a token.
    """
    paper = [rule for rule in rules if rule.name == PAPER and not rule.calibrated]
    first = dict.fromkeys(map(str, (chosen, *paper)))
    rows = [(rule, split) for rule in first for split in effects]
    rows += [(str(rule), held_out) for rule in rules if str(rule) not in first]
    head = ["rule", "on", *request.names[:COLUMNS], "error", "KL", "JS", "NLL", "others", "most"]
    requested = [f"{scale:.4g}" for scale in request.scale[:COLUMNS].tolist()]
    table = [head, ["requested", "", *requested, *[""] * 6]]
    table += [_row(rule, split, effects[split][rule], request, name) for rule, split in rows]
    metrics: dict[str, float] = {}
    panels: dict[str, dict[tuple[str, bool], tuple[Tensor, Tensor]]] = {}
    for split, found in effects.items():
        for rule in rules:
            effect, prefix = found[str(rule)], f"edit/{split}/{rule}"
            metrics |= {f"{prefix}/error": effect.error(request), f"{prefix}/kl": effect.kl}
            points = panels.setdefault(split, {})
            points[rule.name, rule.calibrated] = (request.scale, effect.scale)
    return Report("edit", table, _numbers(request, rules, effects), metrics, draw_edits(panels))


def _row(
    rule: str, split: str, effect: Effect, request: EditRequest, name: Callable[[int], str]
) -> list[str]:
    scales = [f"{scale:.4g}" for scale in effect.scale[:COLUMNS].tolist()]
    cost = [f"{effect.kl:.2g}", f"{effect.js:.2g}", f"{effect.nll:+.4f}"]
    most = f"{effect.largest:.4f} of {name(effect.token)}"
    return [
        *(rule, split, *scales, f"{effect.error(request):.3f}"),
        *(*cost, f"{effect.others:.4f}", most),
    ]


def _numbers(request: EditRequest, rules: Sequence[Rule], effects: Effects) -> Numbers:
    head = ["rule", "on", "token", "name", "requested", "amount", "actual"]
    numbers: list[list[str | float]] = [[*head, "kl", "js", "nll", "others", "most", "whose"]]
    for split, found in effects.items():
        for rule in rules:
            scale, *means = found[str(rule)]
            for k, token in enumerate(request.tokens.tolist()):
                own = [float(x[k]) for x in (request.scale, rule.amount, scale)]
                numbers.append([str(rule), split, token, request.names[k], *own, *means])
    return numbers


def report_study(trials: Sequence[Trial]) -> Report:
    """Reports edits of many tokens: median and mean error by scale, a row per rule and split.

    Args:
        trials: The edits.
    """
    rules = by_rule(trials)
    scales = [f"x {scale:g}" for scale in SCALES]
    table = [["rule", "on", *scales, "close", "Pearson", "Spearman"]]
    metrics: dict[str, float] = {}
    head = ["rule", "on", "requested", "median", "error", "close", "left out", "kl", "js", "nll"]
    numbers: list[list[str | float]] = [list(head)]
    for (direction, calibrated, split), group in rules.items():
        rule = named(direction, calibrated)
        whole = agreement(group)
        table.append([rule, split, *map(_cell, group), *_agreeing(whole)])
        for trial in group:
            own = [trial.scale, trial.median, trial.error, trial.close, trial.left_out]
            numbers.append([rule, split, *own, trial.kl, trial.js, trial.nll])
            prefix = f"edits/{split}/{rule}/x {trial.scale:g}"
            if len(trial.log_scale):
                metrics |= {f"{prefix}/median": trial.median, f"{prefix}/error": trial.error}
        prefix = f"edits/{split}/{rule}"
        metrics |= {f"{prefix}/{k}": x for k, x in vars(whole).items() if not math.isnan(x)}
    panels: dict[str, dict[tuple[str, bool], tuple[Tensor, Tensor]]] = {}
    for (direction, calibrated, split), group in rules.items():
        requested = torch.cat([trial.requested for trial in group]).exp()
        actual = torch.cat([trial.log_scale for trial in group]).exp()
        if len(requested):
            panels.setdefault(split, {})[direction, calibrated] = (requested, actual)
    return Report("edits", table, numbers, metrics, draw_edits(panels))


def _cell(trial: Trial) -> str:
    """Writes the median scale and the mean error of its log, and what could not be solved for."""
    if not len(trial.log_scale):
        return "out of reach"
    left_out = f" ({trial.left_out} out of reach)" if trial.left_out else ""
    return f"{trial.median:.3g} [{trial.error:.3f}]{left_out}"


def _agreeing(whole: Agreement) -> list[str]:
    return [f"{whole.close:.0%}", f"{whole.pearson:.3f}", f"{whole.spearman:.3f}"]
