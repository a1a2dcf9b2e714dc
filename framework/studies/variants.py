"""Variants of a recipe over several seeds, each run in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from framework.callbacks.report import METRICS
from framework.callbacks.table import table
from framework.studies.results import Published, Result, markdown, summary, write
from framework.studies.study import Study

LAUNCH = "from cli import main; main()"


class Run(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    words: list[str]  # of the command line, without the folder
    tested: bool = False  # whether a test follows


class Variants(Study):
    """Trains every variant of a recipe with every seed, and compares their last metrics.

    A run is what `lightning fit` does with the words of the recipe and of the variant. The seed
    is that of the initial weights and of the order of the examples. A run that is finished is not
    repeated, unless its words have changed; one that fails does not keep others from running.

    Args:
        recipe: Words of the command line that all runs share, such as `[--config, hopper]`.
        variants: Further words of each variant, by its name.
        metrics: The metrics to compare, such as `val/nll`, in the order of the columns.
        seeds: The seeds.
        published: Numbers of a paper to put beside, by variant and metric, as it states them.
        tested: Whether to test what was trained too, for metrics such as `test/mase`.

    Raises:
        ValueError: If there is nothing to run.
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
    ) -> None:
        if not variants or not seeds or not metrics:
            raise ValueError(
                f"Variants: variants={list(variants)}, seeds={list(seeds)} and metrics={metrics} "
                "leave nothing to compare; name at least one of each."
            )
        self.recipe, self.variants, self.metrics = recipe, variants, metrics
        self.seeds, self.published, self.tested = list(seeds), published, tested

    def run(self, folder: Path, jobs: int) -> None:
        """Runs what is not finished, and writes `results.csv` and `table.md`.

        Raises:
            ValueError: If a run failed; the others are finished and kept.
        """
        runs = self.runs()
        waiting = [run for run in runs if finished(folder, run) is None]
        print(f"{len(waiting)} of {len(runs)} runs to go, in {folder}", flush=True)
        with ThreadPoolExecutor(jobs) as pool:
            failed = [
                log for log in pool.map(lambda run: _train(run, folder, jobs), waiting) if log
            ]
        results = [
            Result(run.variant, run.seed, metric, float(value))
            for run in runs
            for metric, value in (finished(folder, run) or {}).items()
        ]
        rows = summary(results, self.metrics, self.published)
        write(folder / "results.csv", results)
        (folder / "table.md").write_text(markdown(rows), encoding="utf-8")
        print(table(f"Last metrics, {folder / 'table.md'}", rows), flush=True)
        if failed:
            raise ValueError(
                f"{len(failed)} of {len(runs)} runs failed; see {failed[0]}, mend the cause and "
                "run the study again, which repeats only those."
            )

    def runs(self) -> list[Run]:
        """Lists all runs, one seed of every variant after the other."""
        return [
            Run(variant, seed, [*self.recipe, *words, *_seeded(seed)], self.tested)
            for seed in self.seeds
            for variant, words in self.variants.items()
        ]


def finished(folder: Path, run: Run) -> dict[str, Any] | None:
    """Returns the metrics of a run that is finished with the same words, None of any other."""
    path = _place(folder, run) / "finished.json"
    if not path.is_file():
        return None
    kept = json.loads(path.read_text(encoding="utf-8"))
    metrics: dict[str, Any] = kept["metrics"]
    same = kept["words"] == run.words and kept.get("tested", False) == run.tested
    return metrics if same else None


def _train(run: Run, folder: Path, jobs: int) -> Path | None:
    """Trains in a process of its own; returns the log if that failed."""
    place = _place(folder, run)
    place.mkdir(parents=True, exist_ok=True)
    log, started = place / "log.txt", time.monotonic()
    with log.open("w", encoding="utf-8") as file:
        launch = partial(_launch, place=place, jobs=jobs, file=file)
        status = launch(["fit", *run.words])
        if run.tested and not status:
            [checkpoint] = _newest(place, "last.ckpt", 1)
            status = launch(["test", "--ckpt_path", str(checkpoint)])
    seconds = round(time.monotonic() - started)
    said = f"{run.variant}, seed {run.seed}: {seconds} s"
    if status:
        print(f"{said}, failed with status {status}, see {log}", flush=True)
        return log
    metrics: dict[str, float] = {}
    for path in _newest(place, METRICS, 1 + run.tested):
        metrics |= json.loads(path.read_text(encoding="utf-8"))
    kept = {**run._asdict(), "seconds": seconds, "metrics": metrics}
    (place / "finished.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(said, flush=True)
    return None


def _launch(words: list[str], place: Path, jobs: int, file: IO[str]) -> int:
    """Runs a command in a process of its own; returns its status."""
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, *words, f"--trainer.default_root_dir={place}"],
        stdout=file,
        stderr=subprocess.STDOUT,
        env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), **os.environ},
        check=False,
    ).returncode


def _newest(place: Path, name: str, number: int) -> list[Path]:
    """Returns the last files of a name that were written below a folder, the oldest first."""
    return sorted(place.rglob(name), key=lambda path: path.stat().st_mtime_ns)[-number:]


def _place(folder: Path, run: Run) -> Path:
    return folder / run.variant / f"seed-{run.seed}"


def _seeded(seed: int) -> list[str]:
    return ["--seed_everything", str(seed), "--data.seed", str(seed)]
