"""What is found about edits, arranged: in tables, numbers and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from framework.analysis.encoding.directions import PAPER
from framework.analysis.encoding.edit_study import SCALES, Agreement, Trial, agreement, by_rule
from framework.analysis.encoding.editing import Effect, Rule, Wish, named
from framework.analysis.finding import Finding
from framework.figures.edits import draw_edits

COLUMNS = 6  # tokens that a table shows, at most

Effects = Mapping[str, Sequence[Effect]]
"""By split, what each rule does there."""


def tell_edits(
    wish: Wish,
    rules: Sequence[Rule],
    chosen: Rule,
    effects: Effects,
    held_out: str,
    name: Callable[[int], str],
) -> Finding:
    """Arranges what an edit does: that which was chosen, the paper's beside it, then all others.

    Args:
        wish: What was asked.
        rules: All that apply.
        chosen: One of them.
        effects: What each of them does.
        held_out: The split on which the others are shown.
        name: Names a token.
    """
    head = ["rule", "on", *wish.names[:COLUMNS], "error", "KL", "JS", "NLL", "others", "most"]
    asked = [f"{scale:.4g}" for scale in wish.scale[:COLUMNS].tolist()]
    table = [head, ["asked", "", *asked, *[""] * 6]]
    first = [rule for rule in rules if rule is chosen or (rule.name, rule.calibrated) == MLR]
    for rule in sorted(first, key=lambda rule: rule is not chosen):
        table += [_row(rule, split, effects, rules, wish, name) for split in effects]
    others = [rule for rule in rules if all(rule is not other for other in first)]
    table += [_row(rule, held_out, effects, rules, wish, name) for rule in others]
    head = ["rule", "on", "token", "name", "asked", "amount", "actual"]
    numbers: list[list[str | float]] = [[*head, "kl", "js", "nll", "others", "most", "whose"]]
    metrics = {}
    for split, found in effects.items():
        for rule, effect in zip(rules, found, strict=True):
            means = [effect.kl, effect.js, effect.nll, effect.others, effect.largest, effect.token]
            for k, token in enumerate(wish.tokens.tolist()):
                own = [float(x[k]) for x in (wish.scale, rule.amount, effect.scale)]
                numbers.append([str(rule), split, token, wish.names[k], *own, *means])
            prefix = f"edit/{split}/{rule}"
            metrics |= {f"{prefix}/error": effect.error(wish), f"{prefix}/kl": effect.kl}
    panels = {
        split: {
            (rule.name, rule.calibrated): (wish.scale, effect.scale)
            for rule, effect in zip(rules, found, strict=True)
        }
        for split, found in effects.items()
    }
    return Finding("edit", table, numbers, metrics, draw_edits(panels))


MLR = (PAPER, False)


def _row(
    rule: Rule,
    split: str,
    effects: Effects,
    rules: Sequence[Rule],
    wish: Wish,
    name: Callable[[int], str],
) -> list[str]:
    effect = next(e for r, e in zip(rules, effects[split], strict=True) if r is rule)
    scales = [f"{scale:.4g}" for scale in effect.scale[:COLUMNS].tolist()]
    cost = [f"{x:.2g}" for x in (effect.kl, effect.js)]
    most = f"{effect.largest:.4f} of {name(effect.token)}"
    error = f"{effect.error(wish):.3f}"
    return [
        str(rule),
        split,
        *scales,
        error,
        *cost,
        f"{effect.nll:+.4f}",
        f"{effect.others:.4f}",
        most,
    ]


def tell_study(trials: Sequence[Trial]) -> Finding:
    """Arranges how far edits hold: medians and mean errors by scale, a row a rule and split.

    Args:
        trials: What was tried.
    """
    rules = by_rule(trials)
    scales = [f"x {scale:g}" for scale in SCALES]
    table = [["rule", "on", *scales, "close", "Pearson", "Spearman"]]
    metrics: dict[str, float] = {}
    head = ["rule", "on", "asked", "median", "error", "close", "left out", "kl", "js", "nll"]
    numbers: list[list[str | float]] = [list(head)]
    for (direction, calibrated, split), group in rules.items():
        rule = named(direction, calibrated)
        whole = agreement(group)
        cells = [f"{trial.median:.3g} [{trial.error:.3f}]" for trial in group]
        table.append([rule, split, *cells, *_agreeing(whole)])
        for trial in group:
            own = [trial.scale, trial.median, trial.error, trial.close, trial.left_out]
            numbers.append([rule, split, *own, trial.kl, trial.js, trial.nll])
            prefix = f"edits/{split}/{rule}/x {trial.scale:g}"
            metrics |= {f"{prefix}/median": trial.median, f"{prefix}/error": trial.error}
        prefix = f"edits/{split}/{rule}"
        metrics |= {f"{prefix}/{name}": x for name, x in vars(whole).items()}
    panels: dict[str, dict[tuple[str, bool], tuple[Tensor, Tensor]]] = {}
    for (direction, calibrated, split), group in rules.items():
        asked = torch.cat([trial.asked for trial in group]).exp()
        actual = torch.cat([trial.log_scale for trial in group]).exp()
        panels.setdefault(split, {})[direction, calibrated] = (asked, actual)
    return Finding("edits", table, numbers, metrics, draw_edits(panels))


def _agreeing(whole: Agreement) -> list[str]:
    return [f"{whole.close:.0%}", f"{whole.pearson:.3f}", f"{whole.spearman:.3f}"]
