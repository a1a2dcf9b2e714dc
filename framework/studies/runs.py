"""Runs of a study: each in a process of its own, and the results that are kept."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from framework.interruptions import DIVERGED, PREEMPTED, Preempted
from framework.run_files import FINISHED, HAS_DIVERGED, METRICS, read_metrics
from framework.studies.results import rival
from framework.studies.same_data import DIGESTS, TRAINED_ON, digests, trained_on
from framework.whole_files import write_text

LAUNCH = "from cli import main; main()"
NEED = re.compile(r"(?<!\$)\{([\w./-]+)\}")  # {variant} in a word; ${...} is an interpolation
CHECKPOINT = "{checkpoint}"  # a word of a later command: the last checkpoint of the run
LAST = "last*.ckpt"  # somewhere in the folder of a run
STARTED = "started.json"  # there: words, and digests of files, of the training that wrote the rest
EARLIER = "earlier-{}"  # folder there, of what a training with other words has written
REPORTS = "reports"  # folder there, of what later commands write

Kept = dict[str, Any]
"""Results of a finished run: its words, seconds, metrics and the folder of its logs.

One that diverged has no metrics and no logs, but is finished: it would end alike again.
"""


RunKey = tuple[str, int, float | None]
"""What tells a run from the others of a study: variant, seed and learning rate."""


class Run(NamedTuple):
    """One training run."""

    variant: str
    seed: int
    words: list[str]  # of the command line, without the folder
    tested: bool = False  # whether a test follows
    commands: Sequence[Sequence[str]] = ()  # words of verbs that follow
    learning_rate: float | None = None  # None: that of the recipe
    needed_rates: Mapping[str, float | None] | None = None  # of the variants that it needs
    files: Sequence[str] | None = None  # behind its data, of a run that notes what these were

    @property
    def key(self) -> RunKey:
        """What tells it from the other runs of a study."""
        return self.variant, self.seed, self.learning_rate

    @property
    def needs(self) -> list[str]:
        """Variants whose last checkpoints of the same seed the words name, from the group on."""
        names = dict.fromkeys(name for word in self.words for name in NEED.findall(word))
        return [rival(self.variant, name) for name in names]

    def needed(self, variant: str) -> Run:
        """Returns the run of a variant whose checkpoint this run needs, without its words."""
        rate = (self.needed_rates or {}).get(variant)
        return self._replace(variant=variant, learning_rate=rate)


def finished(folder: Path, run: Run) -> Kept | None:
    """Returns the results of a run, None if it is not finished with the same words.

    A run is not finished, either, if a run whose checkpoint it uses was finished after it.

    Raises:
        ValueError: If the note of its results is damaged.
    """
    path = _place(folder, run) / FINISHED
    before = [_place(folder, run.needed(name)) / FINISHED for name in run.needs]
    if not path.is_file() or any(_is_newer(other, path) for other in before):
        return None
    kept = _read(path)
    same = kept["words"] == run.words and kept.get("tested", False) == run.tested
    same = same and kept.get("needed_rates") == run.needed_rates
    commands = [list(words) for words in run.commands]
    return kept if same and kept.get("commands", []) == commands else None


def _read(path: Path) -> Kept:
    try:
        kept: Kept = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(kept["words"], list):
            raise TypeError("its words are no list")
        return kept
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} is no note of a finished run ({error}); remove it, and the run goes on from "
            "its last checkpoint."
        ) from error


def filled(folder: Path, run: Run) -> list[str]:
    """Returns the words of a run, with paths in place of the checkpoints that they name.

    Raises:
        ValueError: If a checkpoint does not exist.
    """

    def checkpoint(found: re.Match[str]) -> str:
        needed = run.needed(rival(run.variant, found[1]))
        return str(last_checkpoint(folder, needed))

    return [NEED.sub(checkpoint, word) for word in run.words]


def last_checkpoint(folder: Path, run: Run) -> Path:
    """Returns the last checkpoint of a run.

    Raises:
        ValueError: If there is none.
    """
    found = _newest(_place(folder, run), LAST, 1)
    if not found:
        raise ValueError(
            f"{run.variant}, seed {run.seed} wrote no last.ckpt into {folder}, which is needed "
            "now; see its log."
        )
    return found[0]


def train(run: Run, folder: Path, jobs: int) -> Path | None:
    """Trains in a process of its own; returns the log if that failed. One that diverged did not.

    A training with the same words and files that did not end goes on where it was.

    Raises:
        Preempted: If it was told to stop.
    """
    place, words = _place(folder, run), filled(folder, run)
    shutil.rmtree(place / REPORTS, ignore_errors=True)
    found = digests(run.files or ())
    goes_on = _make_room(folder, run, words, found)
    log, started = place / "log.txt", time.monotonic()
    with log.open("a" if goes_on else "w", encoding="utf-8") as file:
        start = partial(launch, jobs=jobs, file=file)
        rooted = f"--trainer.default_root_dir={place}"
        status = start(["fit", *words, "--resume", "auto", rooted])
        if run.tested and not status:
            checkpoint = str(last_checkpoint(folder, run))
            status = start(["test", "--ckpt_path", checkpoint, rooted])
        for command in () if status else run.commands:
            checkpoint = str(last_checkpoint(folder, run))
            words = [checkpoint if word == CHECKPOINT else word for word in command]
            status = status or start([*words, f"--folder={place / REPORTS}"])
    seconds = round(time.monotonic() - started)
    rate = "" if run.learning_rate is None else f", learning rate {run.learning_rate}"
    line = f"{run.variant}, seed {run.seed}{rate}: {seconds} s"
    if status == PREEMPTED:
        print(f"{line}, told to stop; the same command goes on with it", flush=True)
        raise Preempted
    if status == DIVERGED:
        lost = {**run._asdict(), "seconds": seconds, "metrics": {}, HAS_DIVERGED: True}
        write_text(place / FINISHED, json.dumps(lost, indent=1))
        print(f"{line}, diverged, see {log}; without {FINISHED} it is trained again", flush=True)
        return None
    if status:
        print(f"{line}, failed with status {status}, see {log}", flush=True)
        return log
    metrics: dict[str, float] = {}
    written = _newest(place, METRICS, 1 + run.tested)
    for path in (*written, *sorted((place / REPORTS).glob("*.json"))):
        metrics |= read_metrics(path)
    if goes_on:
        metrics.pop("seconds", None)  # which are those of its last process only
    logs = str(written[0].parent.relative_to(place))  # of the training, not of the test
    kept = {**run._asdict(), "seconds": seconds, "metrics": metrics, "logs": logs}
    if run.files is not None:
        last = _newest(place, LAST, 1)
        kept |= {DIGESTS: found, TRAINED_ON: trained_on(last[0]) if last else None}
    write_text(place / FINISHED, json.dumps(kept, indent=1))
    print(line, flush=True)
    return None


def _make_room(folder: Path, run: Run, words: list[str], files: Mapping[str, str]) -> bool:
    """Leaves in the folder of a run what it can go on with; returns whether there is some."""
    place, note = _place(folder, run), json.dumps([words, files] if files else words)
    started = place / STARTED
    needed = (_place(folder, run.needed(name)) / FINISHED for name in run.needs)
    is_same = started.is_file() and started.read_text(encoding="utf-8") == note
    is_same = is_same and not (place / FINISHED).exists()
    if is_same and not any(_is_newer(other, started) for other in needed):
        return True
    place.mkdir(parents=True, exist_ok=True)
    pattern = EARLIER.format("*")
    if others := [path for path in place.iterdir() if not path.match(pattern)]:
        earlier = place / EARLIER.format(1 + len(list(place.glob(pattern))))
        earlier.mkdir()
        for path in others:
            path.rename(earlier / path.name)
    write_text(started, note)
    return False


def logs_of(folder: Path, run: Run, kept: Kept) -> Path:
    """Returns the folder into which a finished run logged its training."""
    return _place(folder, run) / str(kept["logs"])


def launch(words: list[str], jobs: int, file: IO[str]) -> int:
    """Runs a command in a process of its own, and returns its status.

    Args:
        words: The words of the command line.
        jobs: How many such processes share the cores.
        file: What it prints goes there.
    """
    return subprocess.run(
        [sys.executable, "-c", LAUNCH, *words],
        stdout=file,
        stderr=subprocess.STDOUT,
        env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // jobs)), **os.environ},
        check=False,
    ).returncode


def processes() -> int:
    """Returns how many processes to run side by side by default: one for two cores."""
    return max(1, (os.cpu_count() or 1) // 2)


def _is_newer(path: Path, other: Path) -> bool:
    """Returns whether a file is newer than another, or missing."""
    return not path.is_file() or path.stat().st_mtime_ns > other.stat().st_mtime_ns


def _newest(place: Path, name: str, number: int) -> list[Path]:
    """Returns the newest files of that name below a folder, oldest first."""
    others = place.glob(EARLIER.format("*"))
    found = set(place.rglob(name)) - {path for other in others for path in other.rglob(name)}
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)[-number:]


def _place(folder: Path, run: Run) -> Path:
    rate = "" if run.learning_rate is None else f"lr-{run.learning_rate!r}"
    return folder / run.variant / rate / f"seed-{run.seed}"
