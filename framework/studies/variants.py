"""Variants of a recipe over several seeds and learning rates, each run in its own process."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from framework.run_files import HAS_DIVERGED, RESULTS, TABLES
from framework.studies.checks import (
    require_checkpoints,
    require_compared,
    require_contents,
    require_drawn,
    require_rates,
    require_rivals,
)
from framework.studies.comparisons import arms_of, differences
from framework.studies.grid import RunGrid, chosen_rates
from framework.studies.pictures import FinishedRun, save_curves, save_scaling, save_seeds
from framework.studies.rates import ChosenRate
from framework.studies.results import (
    Published,
    Result,
    Trivial,
    markdown,
    simple_predictions,
    summary,
    write,
)
from framework.studies.runs import Run, RunKey, finished, train
from framework.studies.same_data import SameData
from framework.studies.sizes import pairs, size_ratios
from framework.studies.study import Study
from framework.tables import table
from framework.whole_files import write_text


class Variants(Study):
    """Trains every variant of a recipe with every seed, and compares their last metrics.

    A run is `lightning fit` with the words of the recipe and of the variant. The seed sets the
    initial weights and the order of the examples. A finished run is not repeated, unless its words
    have changed; the others run even if one fails.

    With `learning_rates`, each variant is trained with all of them and the first seed, and with
    the one that is best in validation then and all other seeds. So V variants with R rates and S
    seeds cost V (R + S - 1) runs. The first seed is among those that are compared; that it chose
    favors all variants alike, as all choose from the same rates.

    Args:
        recipe: Words of the command line that all runs share, such as `[--config, hopper]`.
        variants: Further words of each variant, by its name; `{name}` in a word stands for the
            last checkpoint of that variant of the same group with the same seed, which runs first:
            in `sums/fan`, `{base/fan}` is that of `sums/base/fan`.
        metrics: The metrics to compare, such as `val/nll`, in the order of the columns;
            `parameters` is how many a model has, `steps` how many it took, and `seconds` how long
            that took, with validation and without start; a run that was interrupted has none.
        seeds: The seeds.
        published: Numbers of a paper to show beside ours, by variant and metric, as it states
            them.
        tested: Whether to run the test as well, for metrics such as `test/mase`.
        curves: Metrics to draw against the steps, such as `train/nll` and `val/nll`.
        baseline: Variant that the others are compared with, seed by seed, in the first metric; of
            variants `group/name` the last part of the name, which each group has. The table has
            Student's interval and a verdict, see `framework.studies.comparisons.verdict`; in
            `seeds.png` every seed is a point.
        against: Metric to draw the first one against, such as `parameters`: a line for each last
            part of the variants' names. With a baseline, also a table of the fraction of it that
            the other lines need for the same results.
        commands: Verbs to run after each training, such as
            `[[future, probes, "{checkpoint}", --first, "5"]]`, where `{checkpoint}` is the last
            checkpoint; numbers in the JSON files that they write are metrics.
        learning_rates: Values of `model.optimizer.lr` to choose from for each variant; without
            any, that of the recipe. No variant wins or loses with fewer than three. Where training
            diverges, metrics are `nan`: such a rate is not the best, no variant wins or loses with
            such a seed, and no run starts from such a checkpoint.
        chosen_by: Metric by which they are chosen, of validation; the first of `metrics` if not
            given.
        maximized: Those of the metrics of which more is better, such as `val/return`.
        trivial: Scores of predictions that learn nothing, by their name (`group/name` if variants
            have groups) and metric: rows of the table, which a variant must beat to win or lose.
            Simple predictions that the data score, such as `naive`, are added by themselves.
        differences_in: Further ones of `metrics` to compare with the baseline in, a table each.
        same_data: What runs must have been trained on alike; there are no tables if they were not.

    Raises:
        ValueError: If there is nothing to run, a variant has no baseline, metrics to compare it in
            are none or there is no baseline, one names the
            checkpoint of a variant that does not exist or needs another one itself, a learning
            rate is not positive or named twice, a metric that chooses is not of validation, or a
            trivial prediction has the name of a variant or a group without any.
    """

    extensible = True

    def __init__(
        self,
        recipe: list[str],
        variants: dict[str, list[str]],
        metrics: list[str],
        seeds: Sequence[int] = (1, 2, 3),
        published: Published | None = None,
        tested: bool = False,
        curves: Sequence[str] = (),
        baseline: str | None = None,
        against: str | None = None,
        commands: Sequence[Sequence[str]] = (),
        learning_rates: Sequence[float] = (),
        chosen_by: str | None = None,
        maximized: Sequence[str] = (),
        trivial: Trivial | None = None,
        differences_in: Sequence[str] = (),
        same_data: SameData | None = None,
    ) -> None:
        chosen_by = metrics[0] if metrics and chosen_by is None else chosen_by or ""
        require_contents(variants, seeds, metrics)
        require_rivals(variants, baseline, trivial or {})
        require_checkpoints({name: [*recipe, *words] for name, words in variants.items()})
        require_rates(learning_rates, chosen_by)
        require_compared(differences_in, metrics, baseline)
        self.recipe, self.variants, self.metrics = recipe, variants, metrics
        self.seeds, self.published, self.tested = list(seeds), published, tested
        self.curves, self.baseline, self.against = list(curves), baseline, against
        self.commands = [list(words) for words in commands]
        self.maximized, self.trivial = set(maximized), trivial or {}
        self.differences_in, self.same_data = list(differences_in), same_data
        self.grid = RunGrid(
            self._run,
            list(variants),
            self.seeds,
            [float(rate) for rate in learning_rates],
            chosen_by,
            chosen_by in self.maximized,
        )

    def run(self, folder: Path, jobs: int) -> None:
        """Runs what is not finished; writes `results.csv`, `table.md` and the chosen pictures.

        These are `seeds.png`, `scaling.png`, and `curves.png` with its numbers in `curves.csv`.

        Raises:
            ValueError: If a run failed; the others are finished and kept. If runs were trained on
                other data than `same_data` says, or no run has a metric that is to be drawn.
        """
        total, before = len(self.grid), len(self._done(folder))
        print(f"{total - before} of {total} runs to go, in {folder}", flush=True)
        failed = self._launch_all(folder, jobs)
        missing = self._write_all(folder)
        if failed:
            raise ValueError(
                f"{len(failed)} of {total} runs failed; see {failed[0]}, fix the cause and "
                "run the study again, which repeats only those."
            )
        if waiting := total - len(self._done(folder)):
            raise ValueError(
                f"{waiting} of {total} runs cannot start, as those that they go on from diverged; "
                "give these another learning rate, or leave them out."
            )
        require_drawn(missing, folder)

    def rounds(self, folder: Path) -> list[list[int]]:
        """Numbers the runs that are not finished; those of a round need none of it or later."""
        done = {run.key for run, _ in self._done(folder)}
        rounds: dict[int, list[int]] = {}
        for number, slot in enumerate(self.grid.slots()):
            run = self.grid.find(folder, slot)
            if run is None or run.key not in done:
                rounds.setdefault(self.grid.round_of(slot), []).append(number)
        return [rounds[order] for order in sorted(rounds)]

    def run_one(self, folder: Path, number: int) -> None:
        """Runs the run of a number, unless it is finished.

        Raises:
            ValueError: If there is none, it waits for others, or fails.
        """
        slots = self.grid.slots()
        if not 0 <= number < len(slots):
            raise ValueError(f"--task {number} is none of the runs 0 to {len(slots) - 1}.")
        slot = slots[number]
        run = self.grid.find(folder, slot)
        done, trained = self._keys(folder)
        if run is None or not trained >= {run.needed(name).key for name in run.needs}:
            raise ValueError(
                f"--task {number}, {slot.variant} with seed {slot.seed}, waits for runs that are "
                f"not finished in {folder}, or diverged; see their logs, and give the command "
                "again."
            )
        if run.key in done:
            print(f"{slot.variant}, seed {slot.seed} is finished in {folder}.", flush=True)
        elif failed := self.launch(folder, [run], 1):
            raise ValueError(f"{slot.variant}, seed {slot.seed} failed; see {failed[0]}.")

    def report(self, folder: Path) -> None:
        """Writes tables and pictures of what is finished, and prints the tables.

        Raises:
            ValueError: If runs were trained on other data than `same_data` says, or no run has a
                metric that is to be drawn.
        """
        print(f"{len(self._done(folder))} of {len(self.grid)} runs are finished, in {folder}")
        require_drawn(self._write_all(folder), folder)

    def _write_all(self, folder: Path) -> list[str]:
        """Writes results, tables and pictures; returns the metrics that no run has to draw."""
        done = self._done(folder)
        if self.same_data is not None:
            self.same_data.require(kept for _, kept in done if not kept.get(HAS_DIVERGED))
        unknown = dict.fromkeys([*self.metrics, self.grid.metric], math.nan)
        results = [
            Result(run.variant, run.seed, metric, float(value), run.learning_rate)
            for run, kept in done
            for metric, value in (unknown if kept.get(HAS_DIVERGED) else kept["metrics"]).items()
        ]
        self._report(folder, results)
        return self._draw(folder, results, done)

    def _launch_all(self, folder: Path, jobs: int) -> list[Path]:
        """Runs what can be run until nothing is left; returns the logs of what failed."""
        failed: list[Path] = []
        tried: set[RunKey] = set()
        while ready := [run for run in self._ready(folder) if run.key not in tried]:
            tried |= {run.key for run in ready}
            failed += self.launch(folder, ready, jobs)
        return failed

    def _ready(self, folder: Path) -> list[Run]:
        """Lists the runs that are not finished, and whose checkpoints of others are there."""
        done, trained = self._keys(folder)
        return [
            run
            for run in self.grid.runs(folder)
            if run.key not in done and trained >= {run.needed(name).key for name in run.needs}
        ]

    def _keys(self, folder: Path) -> tuple[set[RunKey], set[RunKey]]:
        """Returns the keys of what is finished, and of what others can go on with."""
        done = self._done(folder)
        trained = {run.key for run, kept in done if not kept.get(HAS_DIVERGED)}
        return {run.key for run, _ in done}, trained

    def _done(self, folder: Path) -> list[FinishedRun]:
        runs = self.grid.runs(folder)
        return [(run, kept) for run in runs if (kept := finished(folder, run)) is not None]

    def launch(self, folder: Path, runs: Sequence[Run], jobs: int) -> list[Path]:
        """Trains, side by side; returns the logs of those that failed."""
        with ThreadPoolExecutor(jobs) as pool:
            return [log for log in pool.map(lambda run: train(run, folder, jobs), runs) if log]

    def _run(self, variant: str, seed: int) -> Run:
        words = [*self.recipe, *self.variants[variant], *_seeded(seed)]
        files = None if self.same_data is None else self.same_data.files
        return Run(variant, seed, words, self.tested, self.commands, files=files)

    def _report(self, folder: Path, results: Sequence[Result]) -> None:
        """Writes the results and their tables, and prints these."""
        write(folder / RESULTS, results)
        tables = self.tables(results)
        path = folder / TABLES
        write_text(path, "\n".join(map(markdown, tables.values())))
        for title, rows in tables.items():
            print(table(f"{title}, {path}", rows), flush=True)

    def _draw(
        self, folder: Path, results: Sequence[Result], done: Sequence[FinishedRun]
    ) -> list[str]:
        """Draws what is wanted; returns the metrics that no run has."""
        missing: list[str] = []
        if self.baseline is not None:
            arms = arms_of(self.compared(results), self.metrics[0], {})
            save_seeds(folder, arms, self.metrics[0], self.baseline)
        if self.against is not None:
            compared = self.compared(results)
            missing += save_scaling(folder, compared, self.against, self.metrics[0])
        if self.curves:
            rates = self.rates(results)
            chosen = [
                (run, kept)
                for run, kept in done
                if run.learning_rate == rates[run.variant].rate and not kept.get(HAS_DIVERGED)
            ]
            missing += save_curves(folder, chosen, self.curves)
        return missing

    def tables(self, results: Sequence[Result]) -> dict[str, list[list[str]]]:
        """Arranges the results: rows of cells by the title of the table."""
        compared, trivial = self.compared(results), self.simple(results)
        rates = self.rates(results)
        tables = {"Last metrics": summary(compared, self.metrics, self.published, rates, trivial)}
        if self.baseline is not None:
            tables["Differences"] = self.differences(results, self.baseline)
            for metric in self.differences_in:
                title = f"Differences in {metric}"
                tables[title] = self.differences(results, self.baseline, metric)
            if self.against is not None:
                kinds = pairs(compared, self.against, self.metrics[0])
                title = f"{self.against} for the {self.metrics[0]} of {self.baseline}"
                tables[title] = size_ratios(kinds, self.baseline)
        return tables

    def differences(
        self, results: Sequence[Result], baseline: str, metric: str | None = None
    ) -> list[list[str]]:
        """Arranges how much variants differ from a baseline in a metric, by default the first."""
        metric, rates = metric or self.metrics[0], self.rates(results)
        compared, trivial = self.compared(results), self.simple(results)
        return differences(
            compared, metric, baseline, rates, trivial, maximized=metric in self.maximized
        )

    def rates(self, results: Sequence[Result]) -> Mapping[str, ChosenRate]:
        """Returns the learning rate of each variant."""
        grid = self.grid
        return chosen_rates(results, self.seeds[0], grid.metric, grid.maximized)

    def compared(self, results: Sequence[Result]) -> list[Result]:
        """Returns the results with the learning rates that were chosen."""
        rates = self.rates(results)
        return [each for each in results if each.learning_rate == rates[each.variant].rate]

    def simple(self, results: Sequence[Result]) -> Trivial:
        """Returns the scores of predictions that learn nothing."""
        return {**simple_predictions(results), **self.trivial}


def _seeded(seed: int) -> list[str]:
    return ["--seed_everything", str(seed), "--data.seed", str(seed)]
