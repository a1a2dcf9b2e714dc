"""How long commands take to start, relative to the import of what they stand on.

Commands and imports take turns in fresh processes of one thread; a figure is the ratio of the
medians of their processor time. What only prints is compared with `import torch`, a training of
one step with `import lightning.pytorch`, and one that goes on for a step with one that starts. The
files are in the memory of the machine already: each is run once before.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.scoreboard import Figure, interleaved, report

ROUNDS = 5
ROOT = Path(__file__).resolve().parents[1]
TORCH, LIGHTNING = ["-c", "import torch"], ["-c", "import lightning.pytorch"]
PRINTING = {
    "help_to_torch": ["--help"],
    "recipes_to_torch": ["recipes"],
    "refused_word_to_torch": ["training"],
}
ONE_STEP = [
    *("-m", "cli", "fit", "--config", "quickstart", "--resume", "auto"),
    *("--trainer.limit_val_batches", "0", "--model.schedule.warmup", "0"),
]
RUNS, KEPT = "runs", "kept"  # folders: of trainings, and of a copy after their first step


def seconds(
    command: list[str], folder: str, status: int = 0, prepare: Callable[[], object] = int
) -> Callable[[], float]:
    """Makes a run of Python that returns the processor time that it took.

    Args:
        command: What Python is given.
        folder: Where it runs.
        status: How it has to end.
        prepare: What is done before each run, and not measured.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def run() -> float:
        prepare()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    run()
    return run


def figures() -> Iterator[Figure]:
    """Yields what each command costs."""
    with TemporaryDirectory() as folder:
        torch = seconds(TORCH, folder)
        for name, words in PRINTING.items():
            command = seconds(["-m", "cli", *words], folder, 2 if "refused" in name else 0)
            mine, theirs = interleaved(command, torch, ROUNDS)
            yield Figure(name, mine / theirs, "<=", 0.3)
        runs, kept = Path(folder, RUNS), Path(folder, KEPT)

        def forget() -> None:
            shutil.rmtree(runs, ignore_errors=True)

        def begin_again() -> None:
            forget()
            shutil.copytree(kept, runs)

        start = seconds([*ONE_STEP, "--trainer.max_steps", "1"], folder, prepare=forget)
        shutil.copytree(runs, kept)
        mine, theirs = interleaved(start, seconds(LIGHTNING, folder), ROUNDS)
        yield Figure("fit_to_lightning", mine / theirs, "<=", 2.0)
        resume = seconds([*ONE_STEP, "--trainer.max_steps", "2"], folder, prepare=begin_again)
        mine, theirs = interleaved(resume, start, ROUNDS)
        yield Figure("resumed_to_started", mine / theirs, "<=", 1.15)


if __name__ == "__main__":
    report(figures())
