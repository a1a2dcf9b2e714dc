"""Runs of a study: each in a process of its own, and what is kept of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from framework.callbacks.report import METRICS

LAUNCH = "from cli import main; main()"

Kept = dict[str, Any]
"""What is known of a finished run: its words, seconds, metrics and the folder of its logs."""


class Run(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    words: list[str]  # of the command line, without the folder
    tested: bool = False  # whether a test follows


def finished(folder: Path, run: Run) -> Kept | None:
    """Returns what was kept of a run that is finished with the same words, None of any other."""
    path = _place(folder, run) / "finished.json"
    if not path.is_file():
        return None
    kept: Kept = json.loads(path.read_text(encoding="utf-8"))
    same = kept["words"] == run.words and kept.get("tested", False) == run.tested
    return kept if same else None


def train(run: Run, folder: Path, jobs: int) -> Path | None:
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
    written = _newest(place, METRICS, 1 + run.tested)
    for path in written:
        metrics |= json.loads(path.read_text(encoding="utf-8"))
    logs = str(written[0].parent.relative_to(place))  # of the training, not of the test
    kept = {**run._asdict(), "seconds": seconds, "metrics": metrics, "logs": logs}
    (place / "finished.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(said, flush=True)
    return None


def logs_of(folder: Path, run: Run, kept: Kept) -> Path:
    """Returns where a finished run logged its training; studies of old did not note it."""
    return _place(folder, run) / str(kept.get("logs", ""))


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
