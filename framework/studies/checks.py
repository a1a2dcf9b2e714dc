"""Refuses options of a study that it cannot run, before anything is run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from framework.studies.results import rival
from framework.studies.runs import Run


def require_contents(
    variants: Collection[str], seeds: Collection[int], metrics: Collection[str]
) -> None:
    """Refuses a study that has nothing to compare."""
    if not variants or not seeds or not metrics:
        raise ValueError(
            f"Variants: variants={list(variants)}, seeds={list(seeds)} and "
            f"metrics={list(metrics)} leave nothing to compare; name at least one of each."
        )


def require_rivals(
    variants: Collection[str], baseline: str | None, trivial: Collection[str]
) -> None:
    """Refuses a variant without its baseline, and a trivial prediction without variants."""
    for variant in variants:
        if baseline is not None and rival(variant, baseline) not in variants:
            raise ValueError(
                f"Variants: with baseline={baseline!r}, {variant!r} would be compared with "
                f"{rival(variant, baseline)!r}, which is no variant; add it or rename one."
            )
    groups = {variant.rpartition("/")[0] for variant in variants}
    for name in trivial:
        if name in variants or name.rpartition("/")[0] not in groups:
            raise ValueError(
                f"Variants: the trivial prediction {name!r} is a variant itself, or in a group "
                f"that none of {list(variants)} is in; give it the group of those that it is "
                "compared with, and a name of its own."
            )


def require_compared(
    compared: Collection[str], metrics: Collection[str], baseline: str | None
) -> None:
    """Refuses comparisons in metrics that are not reported, or with nothing."""
    unknown = [metric for metric in compared if metric not in metrics]
    if unknown or (compared and baseline is None):
        raise ValueError(
            f"Variants: differences_in={list(compared)} with baseline={baseline} and "
            f"metrics={list(metrics)} compares nothing; name a baseline, and metrics of the list."
        )


def require_checkpoints(words: Mapping[str, Sequence[str]]) -> None:
    """Refuses a variant that needs the checkpoint of one that is missing or needs another."""
    needs = {name: Run(name, 0, list(line)).needs for name, line in words.items()}
    for variant, others in needs.items():
        for other in others:
            if needs.get(other) != []:
                raise ValueError(
                    f"Variants: {variant!r} needs the checkpoint of {other!r}, which is not a "
                    "variant that runs without others; name one that does."
                )


def require_rates(rates: Sequence[float], metric: str) -> None:
    """Refuses learning rates of which none can be chosen, or chosen fairly."""
    if any(not rate > 0 for rate in rates) or len(set(rates)) < len(rates):
        raise ValueError(
            f"Variants: learning_rates={list(rates)} are not different positive numbers; name "
            "each rate once."
        )
    if rates and not metric.startswith("val/"):
        raise ValueError(
            f"Variants: chosen_by={metric!r} is not a metric of validation; learning rates that "
            "are chosen by other examples make these useless for a comparison. Name one that "
            "begins with val/."
        )


def require_drawn(missing: Sequence[str], folder: Path) -> None:
    """Refuses metrics to draw that no run has, which is known only when these are finished."""
    if missing:
        raise ValueError(
            f"Variants: no run has {', '.join(missing)}, which is to be drawn; choose from "
            f"{folder / 'results.csv'}, and for curves use the TensorBoard logger."
        )
