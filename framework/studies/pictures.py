"""Pictures of a study: a metric against the size of the models, and learning curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from framework.figures.curves import draw_curves
from framework.figures.scaling import draw_scaling
from framework.figures.seeds import SeedValues, draw_seeds
from framework.studies.comparisons import Arm, half_width, paired_gaps
from framework.studies.curves import read_logs, write_logs
from framework.studies.results import Result, rival
from framework.studies.runs import Kept, Run, logs_of
from framework.studies.sizes import pairs

DPI = 150  # dots per inch of a picture

FinishedRun = tuple[Run, Kept]
"""A run and its results."""


def save_scaling(folder: Path, results: Sequence[Result], x: str, y: str) -> list[str]:
    """Draws a metric against another one, `scaling.png`; returns the latter if no run has it."""
    kinds = pairs(results, x, y)
    if not kinds:
        return [x]
    draw_scaling(kinds, x, y).savefig(folder / "scaling.png", dpi=DPI)
    return []


def save_seeds(folder: Path, arms: Mapping[str, Arm], metric: str, baseline: str) -> None:
    """Draws every seed of every variant, and the differences from a baseline, `seeds.png`.

    Args:
        folder: Where the picture goes.
        arms: What is known of each variant.
        metric: What their values are.
        baseline: Name of the baseline, in each group.
    """
    rows = [
        SeedValues(name, arm.values, *_differences(arm, arms.get(rival(name, baseline))))
        for name, arm in arms.items()
    ]
    if rows:
        draw_seeds(rows, metric, baseline).savefig(folder / "seeds.png", dpi=DPI)


def _differences(arm: Arm, reference: Arm | None) -> tuple[dict[int, float], float]:
    """Returns the differences from a reference by seed, and half the interval of their mean."""
    if reference is None or reference is arm:
        return {}, math.nan
    seeds = [seed for seed in arm.values if seed in reference.values]
    gaps = paired_gaps(arm, reference)
    return dict(zip(seeds, gaps, strict=True)), half_width(gaps)


def save_curves(folder: Path, done: Sequence[FinishedRun], metrics: Sequence[str]) -> list[str]:
    """Writes and draws what runs logged, `curves.csv` and `curves.png`.

    Returns:
        The metrics that no run logged.
    """
    found = [
        point
        for run, kept in done
        for point in read_logs(run.variant, run.seed, logs_of(folder, run, kept), metrics)
    ]
    if found:
        write_logs(folder / "curves.csv", found)
        draw_curves(found).savefig(folder / "curves.png", dpi=DPI)
    return [name for name in metrics if name not in {point.metric for point in found}]
