"""The runs of a study: all learning rates with the first seed, the best one with the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from framework.run_files import HAS_DIVERGED
from framework.studies.rates import RECIPE_RATE, ChosenRate, choose_rate
from framework.studies.results import Result
from framework.studies.runs import Kept, Run, finished

RATE = "--model.optimizer.lr"  # the option of the command line that a learning rate sets


class Slot(NamedTuple):
    """A place in the grid: one run, of which the learning rate may not be known yet."""

    variant: str
    seed: int
    rate: float | None  # None: that of the recipe, or the one that is chosen


@dataclass(frozen=True)
class RunGrid:
    """Lists the runs of variants, as far as finished ones say which they are.

    Args:
        make: Makes the run of a variant with a seed; the learning rate is added to its words.
        variants: The variants.
        seeds: The seeds. The first one chooses the learning rates.
        rates: Learning rates to choose from; that of the recipe if there is none.
        metric: Metric by which a rate is chosen.
        maximized: Whether more of it is better.
    """

    make: Callable[[str, int], Run]
    variants: Sequence[str]
    seeds: Sequence[int]
    rates: Sequence[float]
    metric: str
    maximized: bool = False

    def __len__(self) -> int:
        """Counts the runs, when all are known."""
        return len(self.variants) * (max(1, len(self.rates)) + len(self.seeds) - 1)

    def slots(self) -> list[Slot]:
        """Lists as many places as there are runs, always in the same order."""
        rates: list[float | None] = [*self.rates] if self.rates else [None]
        return [
            Slot(variant, seed, rate)
            for seed in self.seeds
            for variant in self.variants
            for rate in (rates if seed == self.seeds[0] else [None])
        ]

    def round_of(self, slot: Slot) -> int:
        """Counts the runs that must be finished, one after the other, before that of a slot."""
        waits_for_rate = bool(self.rates) and slot.seed != self.seeds[0]
        return waits_for_rate + bool(self.make(slot.variant, slot.seed).needs)

    def find(self, folder: Path, slot: Slot) -> Run | None:
        """Returns the run of a slot, None while its learning rate is not known."""
        runs = self._of(slot.variant, slot.seed, self.chosen(folder))
        return next((run for run in runs if slot.rate in (None, run.learning_rate)), None)

    def runs(self, folder: Path) -> list[Run]:
        """Lists the runs that are known by now, one seed of every variant after the other."""
        chosen = self.chosen(folder)
        return [
            run
            for seed in self.seeds
            for variant in self.variants
            for run in self._of(variant, seed, chosen)
        ]

    def chosen(self, folder: Path) -> dict[str, ChosenRate]:
        """Returns the rates of the variants that have finished all of them with the first seed.

        Raises:
            ValueError: If a run does not have the metric that chooses.
        """
        if not self.rates:
            return dict.fromkeys(self.variants, RECIPE_RATE)
        chosen: dict[str, ChosenRate] = {}
        ordered = sorted(self.variants, key=lambda name: bool(self.make(name, 0).needs))
        for variant in ordered:  # those that need no checkpoint of others first
            runs = list(self._of(variant, self.seeds[0], chosen))
            found = [kept for run in runs if (kept := finished(folder, run)) is not None]
            if len(found) == len(self.rates):
                scores = zip(self.rates, map(self._score, found), strict=True)
                chosen[variant] = choose_rate(dict(scores), self.maximized)
        return chosen

    def run(self, variant: str, seed: int, rate: float | None) -> Run:
        """Returns a run that needs no others."""
        return self._with_rate(self.make(variant, seed), rate)

    def _of(self, variant: str, seed: int, chosen: Mapping[str, ChosenRate]) -> Iterator[Run]:
        """Yields the runs of a variant and seed, as far as the rates are chosen that they need."""
        run = self.make(variant, seed)
        if not self.rates:
            yield run
        elif chosen.keys() >= set(run.needs):
            needed = {name: chosen[name].rate for name in run.needs} or None
            first, known = seed == self.seeds[0], variant in chosen
            for rate in self.rates if first else [chosen[variant].rate] if known else []:
                yield self._with_rate(run._replace(needed_rates=needed), rate)

    @staticmethod
    def _with_rate(run: Run, rate: float | None) -> Run:
        if rate is None:
            return run
        return run._replace(words=[*run.words, RATE, repr(rate)], learning_rate=rate)

    def _score(self, kept: Kept) -> float:
        if kept.get(HAS_DIVERGED):
            return math.nan
        if self.metric not in kept["metrics"]:
            raise ValueError(
                f"Variants: chosen_by={self.metric!r} is no metric of {kept['variant']!r}, which "
                f"has {', '.join(kept['metrics'])}; choose one of these."
            )
        return float(kept["metrics"][self.metric])


def chosen_rates(
    results: Iterable[Result], seed: int, metric: str, maximized: bool = False
) -> dict[str, ChosenRate]:
    """Returns the learning rate of each variant, from all results.

    Args:
        results: Results with all learning rates.
        seed: The seed that chooses.
        metric: The metric that chooses.
        maximized: Whether more of it is better.

    Example:
        >>> runs = [Result("fan", 1, "nll", 2.0, 0.1), Result("fan", 1, "nll", 1.0, 0.01)]
        >>> chosen_rates(runs, 1, "nll")
        {'fan': ChosenRate(rate=0.01, tried=2, edge=True)}
    """
    scores: dict[str, dict[float | None, float]] = {}
    for result in results:
        found = scores.setdefault(result.variant, {})
        if (result.seed, result.metric) == (seed, metric):
            found[result.learning_rate] = result.value
    return {
        variant: choose_rate(found, maximized) if found else RECIPE_RATE
        for variant, found in scores.items()
    }
