"""Comparisons of variants seed by seed, and the one place that decides what is a win."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch

from components.distributions import StudentT
from framework.studies.rates import RECIPE_RATE, ChosenRate
from framework.studies.results import Result, Trivial, deviation, rival, spread

CONFIDENCE = 0.95  # of intervals
FEWEST_SEEDS = 3  # with which there is a verdict
FEWEST_RATES = 3  # learning rates of each of the two that are compared


class Arm(NamedTuple):
    """What is known of a variant: a value per seed, and how its learning rate was found."""

    values: Mapping[int, float]
    rate: ChosenRate = RECIPE_RATE

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.values.values())


def paired_gaps(arm: Arm, reference: Arm) -> list[float]:
    """Returns the value of the arm less that of the reference, for each seed that both have."""
    pairs = ((value, reference.values.get(seed)) for seed, value in arm.values.items())
    return [value - other for value, other in pairs if other is not None]


def half_width(gaps: Sequence[float], confidence: float = CONFIDENCE) -> float:
    r"""Computes half the width of Student's interval for the mean of differences.

    .. math:: t_{n-1, (1 + c)/2} \; s / \sqrt{n}

    It holds the true mean with probability c if the differences are normal and independent.

    Args:
        gaps: The n differences; fewer than two give nan.
        confidence: The probability c.

    Source: Student, "The probable error of a mean" (Biometrika, 1908).
    """
    if len(gaps) < 2:
        return math.nan
    one = torch.ones((), dtype=torch.float64)
    standard = StudentT((len(gaps) - 1) * one, 0 * one, one)
    quantile = standard.icdf((1 + confidence) / 2 * one).item()
    return quantile * deviation(gaps) / math.sqrt(len(gaps))


def verdict(
    arm: Arm, reference: Arm, trivial: Mapping[str, float], maximized: bool = False
) -> str:
    """Decides whether an arm wins or loses against a reference, or why nothing can be said.

    It wins or loses only if the interval of the paired differences excludes 0, there are at least
    three of them, each of the two has the best of at least three learning rates, and the mean of
    each is better than every prediction that learns nothing.

    Args:
        arm: What is compared.
        reference: With what.
        trivial: Scores of predictions that learn nothing, by name.
        maximized: Whether more is better.

    Returns:
        "wins", "loses", or "no verdict: " and all reasons.

    Example:
        >>> grid = ChosenRate(0.003, tried=3)
        >>> plain, fan = Arm({1: 2.0, 2: 2.2, 3: 2.1}, grid), Arm({1: 1.5, 2: 1.8, 3: 1.6}, grid)
        >>> verdict(fan, plain, {}), verdict(fan, plain, {"the mean": 1.9})
        ('wins', 'no verdict: the mean (1.9) is as good as one of the two')
    """
    gaps = paired_gaps(arm, reference)
    means = [each.mean for each in (arm, reference) if not math.isnan(each.mean)]
    reasons = []
    if len(gaps) < FEWEST_SEEDS:
        reasons.append("one seed" if len(gaps) == 1 else f"{len(gaps)} seeds")
    if (tried := min(arm.rate.tried, reference.rate.tried)) < FEWEST_RATES:
        reasons.append("one learning rate" if tried == 1 else f"{tried} learning rates")
    reasons += [
        f"{name} ({score:.4g}) is as good as one of the two"
        for name, score in trivial.items()
        if not all(_is_better(mean, score, maximized) for mean in means)
    ]
    middle = statistics.fmean(gaps) if gaps else math.nan
    if lost := sum(map(math.isnan, gaps)):
        reasons.append(f"{lost} of {len(gaps)} seeds diverged")
    elif len(gaps) >= FEWEST_SEEDS and not abs(middle) > half_width(gaps):
        reasons.append("the interval holds 0")
    if reasons:
        return f"no verdict: {', '.join(reasons)}"
    return "wins" if _is_better(middle, 0.0, maximized) else "loses"


def differences(
    results: Iterable[Result],
    metric: str,
    baseline: str,
    rates: Mapping[str, ChosenRate] | None = None,
    trivial: Trivial | None = None,
    maximized: bool = False,
) -> list[list[str]]:
    """Arranges how much each variant differs from the baseline in runs of the same seed.

    Pairing removes the effect that a seed has on both. A variant `group/name` is compared with
    `group/baseline`.

    Args:
        results: The results, in the order in which variants are to appear, of one learning rate
            for each variant.
        metric: What is compared.
        baseline: Name of the baseline, in each group.
        rates: The learning rate of each variant, if there were several to choose from.
        trivial: Scores of predictions that learn nothing.
        maximized: Whether more is better.

    Returns:
        Rows of cells of one length, the first of which names the columns: the difference, mean ±
            standard deviation over the n seeds that both have, Student's interval for its mean,
            in how many it is negative, and the verdict.

    Example:
        >>> runs = [Result(*run) for run in [("mlp", 1, "nll", 3.0), ("fan", 1, "nll", 2.0)]]
        >>> head, row = differences(runs, "nll", "mlp")
        >>> head
        ['variant', 'n', 'nll, less that of mlp', '95 % interval', 'below', 'verdict']
        >>> row
        ['fan', '1', '-1', '', '1 of 1', 'no verdict: one seed, one learning rate']
    """
    arms = arms_of(results, metric, rates or {})
    rows = [["variant", "n", f"{metric}, less that of {baseline}"]]
    rows[0] += [f"{100 * CONFIDENCE:.0f} % interval", "below", "verdict"]
    for variant, arm in arms.items():
        standard = rival(variant, baseline)
        if variant == standard or standard not in arms:
            continue
        if gaps := paired_gaps(arm, arms[standard]):
            below = f"{sum(gap < 0 for gap in gaps)} of {len(gaps)}"
            bar = trivial_of(variant, metric, trivial or {})
            found = verdict(arm, arms[standard], bar, maximized)
            row = [variant, str(len(gaps)), spread(gaps), interval(gaps), below, found]
            rows.append(row)
    return rows


def arms_of(
    results: Iterable[Result], metric: str, rates: Mapping[str, ChosenRate]
) -> dict[str, Arm]:
    """Collects what is known of each variant in a metric."""
    by_variant: dict[str, dict[int, float]] = {}
    for result in results:
        if result.metric == metric:
            by_variant.setdefault(result.variant, {})[result.seed] = result.value
    return {name: Arm(x, rates.get(name, RECIPE_RATE)) for name, x in by_variant.items()}


def trivial_of(variant: str, metric: str, trivial: Trivial) -> dict[str, float]:
    """Returns the scores of the trivial predictions of a variant's group in a metric."""
    short = {name: name.rpartition("/")[2] for name in trivial}
    return {
        short[name]: scores[metric]
        for name, scores in trivial.items()
        if rival(variant, short[name]) == name and not math.isnan(scores.get(metric, math.nan))
    }


def interval(gaps: Sequence[float]) -> str:
    """Writes Student's interval for the mean of differences, "" for fewer than two.

    Example:
        >>> interval([-0.030, -0.020, -0.025])
        '[-0.037, -0.013]'
    """
    half = half_width(gaps)
    if math.isnan(half):
        return ""
    middle = statistics.fmean(gaps)
    digits = max(0, 1 - math.floor(math.log10(half))) if half > 0 else 4
    return f"[{middle - half:.{digits}f}, {middle + half:.{digits}f}]"


def _is_better(value: float, other: float, maximized: bool) -> bool:
    return value > other if maximized else value < other
