"""Variants of a recipe over several seeds, each run in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from framework.callbacks.table import table
from framework.figures.curves import draw_curves
from framework.figures.scaling import draw_scaling
from framework.studies.curves import read_logs, write_logs
from framework.studies.results import (
    Published,
    Result,
    differences,
    markdown,
    pairs,
    rival,
    size_ratios,
    summary,
    write,
)
from framework.studies.runs import Kept, Run, finished, logs_of, train
from framework.studies.study import Study

DPI = 150  # dots per inch of a picture


class Variants(Study):
    """Trains every variant of a recipe with every seed, and compares their last metrics.

    A run is `lightning fit` with the words of the recipe and of the variant. The seed sets the
    initial weights and the order of the examples. A finished run is not repeated, unless its words
    have changed; the others run even if one fails.

    Args:
        recipe: Words of the command line that all runs share, such as `[--config, hopper]`.
        variants: Further words of each variant, by its name; `{name}` in a word stands for the
            last checkpoint of that variant of the same group with the same seed, which runs first.
        metrics: The metrics to compare, such as `val/nll`, in the order of the columns;
            `parameters` is how many a model has.
        seeds: The seeds.
        published: Numbers of a paper to show beside ours, by variant and metric, as it states
            them.
        tested: Whether to run the test as well, for metrics such as `test/mase`.
        curves: Metrics to draw against the steps, such as `train/nll` and `val/nll`.
        baseline: Variant that the others are compared with, seed by seed, in the first metric; of
            variants `group/name` the last part of the name, which each group has.
        against: Metric to draw the first one against, such as `parameters`: a line for each last
            part of the variants' names. With a baseline, also a table of the fraction of it that
            the other lines need for the same results.
        commands: Verbs to run after each training, such as
            `[[future, probes, "{checkpoint}", --first, "5"]]`, where `{checkpoint}` is the last
            checkpoint; numbers in the JSON files that they write are metrics.

    Raises:
        ValueError: If there is nothing to run, a variant has no baseline, or one names the
            checkpoint of a variant that does not exist or needs another one itself.
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
    ) -> None:
        if not variants or not seeds or not metrics:
            raise ValueError(
                f"Variants: variants={list(variants)}, seeds={list(seeds)} and metrics={metrics} "
                "leave nothing to compare; name at least one of each."
            )
        for variant in variants:
            if baseline is not None and rival(variant, baseline) not in variants:
                raise ValueError(
                    f"Variants: with baseline={baseline!r}, {variant!r} would be compared with "
                    f"{rival(variant, baseline)!r}, which is no variant; add it or rename one."
                )
        needs = {name: Run(name, 0, [*recipe, *words]).needs for name, words in variants.items()}
        for variant, others in needs.items():
            for other in others:
                if needs.get(other) != []:
                    raise ValueError(
                        f"Variants: {variant!r} needs the checkpoint of {other!r}, which is not a "
                        "variant that runs without others; name one that does."
                    )
        self.recipe, self.variants, self.metrics = recipe, variants, metrics
        self.seeds, self.published, self.tested = list(seeds), published, tested
        self.curves, self.baseline, self.against = list(curves), baseline, against
        self.commands = [list(words) for words in commands]

    def run(self, folder: Path, jobs: int) -> None:
        """Runs what is not finished; writes `results.csv`, `table.md` and the chosen pictures.

        These are `scaling.png`, and `curves.png` with its numbers in `curves.csv`.

        Raises:
            ValueError: If a run failed; the others are finished and kept. If no run has a metric
                that is to be drawn.
        """
        runs = self.runs()
        waiting = [run for run in runs if finished(folder, run) is None]
        print(f"{len(waiting)} of {len(runs)} runs to go, in {folder}", flush=True)
        failed = self.launch(folder, [run for run in waiting if not run.needs], jobs)
        ready = {(run.variant, run.seed) for run in runs if finished(folder, run) is not None}
        next_ = [run for run in waiting if ready >= {(name, run.seed) for name in run.needs}]
        failed += self.launch(folder, [run for run in next_ if run.needs], jobs)
        done = [(run, kept) for run in runs if (kept := finished(folder, run)) is not None]
        results = [
            Result(run.variant, run.seed, metric, float(value))
            for run, kept in done
            for metric, value in kept["metrics"].items()
        ]
        self._report(folder, results)
        missing = [*self._draw_scaling(folder, results), *self._draw_curves(folder, done)]
        if failed:
            raise ValueError(
                f"{len(failed)} of {len(runs)} runs failed; see {failed[0]}, fix the cause and "
                "run the study again, which repeats only those."
            )
        if missing:
            raise ValueError(
                f"Variants: no run has {', '.join(missing)}, which is to be drawn; choose from "
                f"{folder / 'results.csv'}, and for curves use the TensorBoard logger."
            )

    def launch(self, folder: Path, runs: Sequence[Run], jobs: int) -> list[Path]:
        """Trains, side by side; returns the logs of those that failed."""
        with ThreadPoolExecutor(jobs) as pool:
            return [log for log in pool.map(lambda run: train(run, folder, jobs), runs) if log]

    def runs(self) -> list[Run]:
        """Lists all runs, one seed of every variant after the other."""
        return [
            Run(variant, seed, [*self.recipe, *words, *_seeded(seed)], self.tested, self.commands)
            for seed in self.seeds
            for variant, words in self.variants.items()
        ]

    def _report(self, folder: Path, results: Sequence[Result]) -> None:
        """Writes the results and their tables, and prints these."""
        write(folder / "results.csv", results)
        tables = self.tables(results)
        path = folder / "table.md"
        path.write_text("\n".join(map(markdown, tables.values())), encoding="utf-8")
        for title, rows in tables.items():
            print(table(f"{title}, {path}", rows), flush=True)

    def tables(self, results: Sequence[Result]) -> dict[str, list[list[str]]]:
        """Arranges the results: rows of cells by the title of the table."""
        tables = {"Last metrics": summary(results, self.metrics, self.published)}
        if self.baseline is not None:
            tables["Differences"] = differences(results, self.metrics[0], self.baseline)
            if self.against is not None:
                kinds = pairs(results, self.against, self.metrics[0])
                title = f"{self.against} for the {self.metrics[0]} of {self.baseline}"
                tables[title] = size_ratios(kinds, self.baseline)
        return tables

    def _draw_scaling(self, folder: Path, results: Sequence[Result]) -> list[str]:
        """Draws the first metric against another one; returns the latter if no run has it."""
        if self.against is None:
            return []
        kinds = pairs(results, self.against, self.metrics[0])
        if not kinds:
            return [self.against]
        figure = draw_scaling(kinds, self.against, self.metrics[0])
        figure.savefig(folder / "scaling.png", dpi=DPI)
        return []

    def _draw_curves(self, folder: Path, done: Sequence[tuple[Run, Kept]]) -> list[str]:
        """Writes and draws what the runs logged; returns the metrics that none of them did."""
        if not self.curves:
            return []
        found = [
            point
            for run, kept in done
            for point in read_logs(run.variant, run.seed, logs_of(folder, run, kept), self.curves)
        ]
        if found:
            write_logs(folder / "curves.csv", found)
            draw_curves(found).savefig(folder / "curves.png", dpi=DPI)
        return [name for name in self.curves if name not in {point.metric for point in found}]


def _seeded(seed: int) -> list[str]:
    return ["--seed_everything", str(seed), "--data.seed", str(seed)]
