"""Interpretation of a probe in sentences: what its numbers show, and where they show nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from framework.analysis.regression import COLLINEAR
from framework.papers.token_encoding.editing.directions import GAINS
from framework.papers.token_encoding.probing.probe import Target
from framework.papers.token_encoding.probing.probe_report import ProbeReport

NOTHING = 0.05  # adjusted R² of a control that is still about 0
SCORED = 0.02  # by which adjusted R² may exceed that of tokens that were left out
NEARLY = 0.99  # R² as at random weights
ENOUGH = 0.95  # share of R² that counts as the most of it
ASKED = 10  # scale of the example


def interpret(found: ProbeReport, untrained: Mapping[Target, float]) -> Iterator[str]:
    """Yields sentences, the worst first.

    Args:
        found: What was found.
        untrained: Adjusted R² of the same model at random weights, by target; empty if unknown.
    """
    yield from _self_test(found)
    yield from _tokens(found)
    yield from _doubts(found)
    yield from _claims(found, untrained)


def _self_test(found: ProbeReport) -> Iterator[str]:
    for failure in found.failures:
        yield f"SELF-TEST FAILED, trust no number here. {failure}"
    if not found.failures:
        yield (
            "Self-test passed: the geometric mean is linear in the rows, its slope is -h, "
            "probabilities sum to 1."
        )


def _tokens(found: ProbeReport) -> Iterator[str]:
    size, known = len(found.counts), found.known
    if size > known:
        yield f"{size - known:,} tokens that fill up the vocabulary are left out."
    alpha = found.probes.get("alpha")
    if alpha is not None and (never := known - int(alpha.kept.sum())):
        yield (
            f"{never:,} tokens are so improbable that float32 has no number for it, and are left "
            "out of alpha."
        )
    if unseen := int((found.counts[:known] == 0).sum()):
        yield (
            f"{unseen:,} of {known:,} tokens never occur in the training text: they are left out "
            "of frequency, not of alpha."
        )


def _doubts(found: ProbeReport) -> Iterator[str]:
    for name, probe in found.probes.items():
        fit = probe.regression
        if fit.condition > COLLINEAR:
            yield (
                f"The rows depend on each other (condition {fit.condition:.1e}): the slope of "
                f"{name} is the shortest of many, single entries mean little."
            )
        if fit.adjusted_r2 - fit.cross_validated_r2 > SCORED:
            yield (
                f"R² of {name} falls to {fit.cross_validated_r2:.3f} for tokens left out of the "
                "fit: believe that."
            )
        worst = max(map(abs, probe.controls.values()))
        if worst > NOTHING:
            yield f"A control of {name} has R² {worst:.3f}, where nothing is to be found."
    alpha = found.probes.get("alpha")
    if alpha is None:
        return
    if alpha.regression.adjusted_r2 > NEARLY:
        yield (
            "R² of alpha is nearly 1 at random weights, too: a value like this one is no evidence "
            "of anything learned, and R² of frequency is."
        )
    low, high = GAINS
    if not low <= alpha.gain <= high:
        how = "under-deliver" if alpha.gain < low else "over-deliver"
        yield (
            f"A gain of {alpha.gain:.2f} is outside [{low}, {high}]: edits along the slope "
            f"(direction mlr) {how}, about {ASKED**alpha.gain:.1f}x where {ASKED}x is asked for; "
            "use whiten."
        )
    if found.ridge:
        yield f"A ridge of {found.ridge:g} shortens the slope, which raises the gain."


def _claims(found: ProbeReport, untrained: Mapping[Target, float]) -> Iterator[str]:
    alpha, frequency = found.probes.get("alpha"), found.probes.get("frequency")
    if alpha is not None:
        fit = alpha.regression
        yield (
            "The paper: -log alpha is linear in the rows. Here: adjusted R² "
            f"{fit.adjusted_r2:.3f}{_before(untrained, 'alpha')}, with residuals of "
            f"{fit.rmse:.2f} nats, a factor of {math.exp(fit.rmse):.2f}."
        )
    if frequency is not None:
        yield (
            "The paper: rows hold frequencies of the corpus, from early on. Here, at this step: "
            f"adjusted R² {frequency.regression.adjusted_r2:.3f}{_before(untrained, 'frequency')}."
        )
    whole = found.main.regression.adjusted_r2
    few = next(k for k, share in found.dimensions.items() if share >= ENOUGH * whole)
    width = len(found.main.regression.slope)
    yield (
        f"The paper: few dimensions carry it. Here: {few} of {width} reach {ENOUGH:.0%} of R²; "
        "whether the others can be deleted, `prune` measures."
    )
    if found.contexts:
        count, cosine = next(
            ((n, c) for n, c in found.contexts.items() if c >= ENOUGH),
            list(found.contexts.items())[-1],
        )
        yield (
            f"The paper: little text suffices. Here: {count:,} contexts give the slope to a "
            f"cosine of {cosine:.3f}."
        )


def _before(untrained: Mapping[Target, float], target: Target) -> str:
    return f" ({untrained[target]:.3f} untrained)" if target in untrained else ""
