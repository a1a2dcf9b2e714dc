"""What SIGKILL costs a run: at random moments, with the same command given again after it.

Runs of three recipes are killed, each at a moment of its own, and started again with
`--resume auto`; in the end all their weights and moments have to be those of runs that nobody has
killed, to the bit. Processes are forked from one that has imported everything. With words, only
recipes of these names are run: `python -m benchmarks.survival two_peaks`.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

import cli
from benchmarks.scoreboard import Figure, report
from framework.checkpoints import read

KILLS = 20
SEED = 15  # of the moments
STEPS = 40
EVERY = 8  # steps from one checkpoint to the next
WORDS = (
    *("--config", "smoke", f"--trainer.max_steps={STEPS}", "--trainer.val_check_interval=20"),
    *("--trainer.enable_checkpointing=true", f"--checkpoint.every_n_train_steps={EVERY}"),
    *("--resume", "auto"),
)
RECIPES = {
    "two_peaks": (),
    "quickstart": ("--model.backbone.dropout=0.1",),
    "lagged_sines": ("--model.backbone.dropout=0.1", "--trainer.accumulate_grad_batches=2"),
}


class Kill(NamedTuple):
    """A run that was killed, and what became of it."""

    recipe: str
    seconds: float  # from its start to the signal
    share: float  # of the seconds that a run takes
    saved: int  # step of the newest checkpoint that the signal left
    torn: int  # files that were being written
    exact: bool  # whether it ended as one that nobody has killed

    def __str__(self) -> str:
        lost = "nothing" if self.exact else "IT DIFFERS"
        cells = (self.recipe, f"{self.seconds:.1f} s", f"{self.share:.0%}", self.saved, self.torn)
        return f"| {' | '.join(map(str, cells))} | {lost} |"


def start(recipe: str, folder: Path) -> multiprocessing.process.BaseProcess:
    """Gives the command of a recipe, in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=train, args=(recipe, folder))
    process.start()
    return process


def train(recipe: str, folder: Path) -> None:
    """Runs the command, and ends the process."""
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    place = f"--trainer.default_root_dir={folder}"
    cli.main(["fit", "--config", recipe, *WORDS, *RECIPES[recipe], place])
    sys.stdout.flush()
    os._exit(0)


def checkpoints(folder: Path) -> Path:
    """Returns the folder of the checkpoints of a run."""
    return folder / "checkpoints"


def uninterrupted(recipe: str, folder: Path) -> tuple[float, dict[str, Any]]:
    """Lets a run end; returns its seconds and its last checkpoint."""
    started = time.perf_counter()
    process = start(recipe, folder)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"{recipe} failed, see {folder / 'log.txt'}:\n{tail(folder)}")
    return time.perf_counter() - started, read(checkpoints(folder) / "last.ckpt")


def tail(folder: Path) -> str:
    """Returns the last lines of a log."""
    return "\n".join((folder / "log.txt").read_text().splitlines()[-5:])


def kill(recipe: str, folder: Path, after: float) -> tuple[int, int] | None:
    """Starts a run and kills it; returns what is saved and torn then, None if it had ended."""
    process = start(recipe, folder)
    process.join(after)
    if process.exitcode is not None:
        return None
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    place = checkpoints(folder)
    steps = [int(path.stem.partition("=")[2]) for path in place.glob("step=*.ckpt")]
    return max(steps, default=0), len(list(place.glob(".*")))


def kills(root: Path, names: Sequence[str]) -> Iterator[Kill]:
    """Kills runs, resumes each, and compares how it ends."""
    numbers = {name: range(place, KILLS, len(RECIPES)) for place, name in enumerate(RECIPES)}
    for recipe, number in ((name, number) for name in names for number in numbers[name]):
        if number < len(RECIPES):
            whole, wanted = uninterrupted(recipe, root / recipe / "whole")
        chance = random.Random(SEED + number)
        left, attempt = None, 0
        while left is None:
            share, attempt = chance.random(), attempt + 1
            folder = root / recipe / f"kill-{number}-{attempt}"
            left = kill(recipe, folder, share * whole)
        _, found = uninterrupted(recipe, folder)
        exact = all(same(found[part], wanted[part]) for part in ("state_dict", "optimizer_states"))
        exact = exact and found["global_step"] == STEPS
        yield Kill(recipe, share * whole, share, *left, exact)


def same(found: Any, wanted: Any) -> bool:
    """Returns whether two nested states are equal to the bit."""
    if isinstance(wanted, torch.Tensor):
        return torch.equal(found, wanted)
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    return bool(found == wanted)


def figures(names: Sequence[str]) -> Iterator[Figure]:
    """Counts the runs that ended otherwise than without a kill."""
    cli._import_classes()
    print("| recipe | killed after | of a run | saved step | torn files | lost in the end |")
    print("|---|--:|--:|--:|--:|---|", flush=True)
    differ = 0
    with TemporaryDirectory() as root:
        for each in kills(Path(root), names or list(RECIPES)):
            print(each, flush=True)
            differ += not each.exact
    yield Figure("runs_that_differ_after_a_kill", differ, "<=", 0)


if __name__ == "__main__":
    torch.set_num_threads(1)
    report(figures(sys.argv[1:]))
