"""Runs in a folder: when they ended, how long they are, and their last numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from framework.run_files import METRICS, read_metrics

RECIPES = "config*.yaml"  # what a training run saves: config.yaml, then config-1.yaml and so on
SET_ASIDE = re.compile(r"earlier-\d+")  # folders of runs that a study replaced
FIRST = ("val/nll", "test/nll")  # metrics that come before others
LAST = ("out_of_support",)  # those that come after others
SHOWN = 4  # metrics in a table, at most
NOT_ENDED = "not ended"


class FoundRun(NamedTuple):
    """What the folder of a run says."""

    name: str  # of the folder, below the one that was searched
    time: float  # when its newest file was written, in seconds since 1970
    ended: bool  # whether it left numbers
    trained: bool  # an evaluation has no recipe of its own
    numbers: Mapping[str, float]

    @property
    def kind(self) -> str:
        """What it was."""
        return ("training" if self.trained else "evaluation") if self.ended else NOT_ENDED


def find_runs(root: Path) -> list[FoundRun]:
    """Finds the runs below a folder, the newest last.

    Args:
        root: The folder.

    Raises:
        ValueError: If there is none, or numbers in it are damaged.
    """
    if not root.is_dir():
        if root.exists():
            raise ValueError(f"{root} is a file; name the folder of a run, or of your runs.")
        raise ValueError(f"There is no folder {root}; name that of your runs, such as runs.")
    files = [path for name in (METRICS, RECIPES) for path in root.rglob(name)]
    folders = {path.parent for path in files if not any(map(SET_ASIDE.fullmatch, path.parts))}
    return sorted((read_run(folder, root) for folder in folders), key=lambda run: run.time)


def read_run(folder: Path, root: Path) -> FoundRun:
    """Reads what the folder of a run says.

    Args:
        folder: The folder, which holds a recipe or numbers.
        root: One that it is in, or itself.

    Raises:
        ValueError: If its numbers are damaged.
    """
    metrics, recipes = folder / METRICS, recipes_of(folder)
    ended = metrics.is_file()
    numbers = read_metrics(metrics) if ended else {}
    if "steps" not in numbers and (steps := list(_steps(folder))):
        numbers["steps"] = max(steps)
    newest = max(path.stat().st_mtime for path in ([metrics] if ended else recipes))
    return FoundRun(_name(folder, root), newest, ended, bool(recipes), numbers)


def _name(folder: Path, root: Path) -> str:
    return str(folder) if folder == root else folder.relative_to(root).as_posix()


def _steps(folder: Path) -> Iterator[int]:
    """Yields the steps that the names of checkpoints of a run tell."""
    for path in folder.glob("checkpoints/*step=*"):
        if found := re.search(r"step=(\d+)", path.name):
            yield int(found[1])


def recipes_of(folder: Path) -> list[Path]:
    """Returns the recipes that trainings saved in a folder, in the order in which they did."""
    return sorted(folder.glob(RECIPES), key=_number)


def _number(recipe: Path) -> int:
    """Returns the number in the name of a recipe; copies of other names come first.

    Example:
        >>> [_number(Path(f"config{end}.yaml")) for end in ("-old", "", "-2", "-10")]
        [-1, 0, 2, 10]
    """
    found = re.fullmatch(r"config(?:-(\d+))?", recipe.stem)
    return int(found[1] or 0) if found else -1


def metrics_of(runs: Iterable[FoundRun]) -> list[str]:
    """Chooses metrics of validation and test to show: the likelihood, then the most frequent."""
    counts = Counter(
        name for run in runs for name in run.numbers if name.startswith(("val/", "test/"))
    )
    first = [name for name in FIRST if name in counts]
    others = [name for name, _ in counts.most_common() if name not in first]
    others.sort(key=lambda name: name.endswith(LAST))
    return [*first, *others][:SHOWN]


def rows(runs: Sequence[FoundRun], metrics: Sequence[str]) -> list[list[str]]:
    """Arranges runs as a table, the names of the columns in the first row.

    Example:
        >>> run = FoundRun("a/version_0", 0.0, True, True, {"steps": 1000, "val/nll": 2.5})
        >>> rows([run], ["val/nll"])[1][2:]
        ['training', '1000', '', '', '2.5']
    """
    header = ["run", "time", "kind", "steps", "seconds", "parameters", *metrics]
    return [header, *([*facts_of(run), *(_cell(run, name) for name in metrics)] for run in runs)]


def facts_of(run: FoundRun) -> list[str]:
    """Returns name, time and kind of a run, its steps, seconds and parameters, "" if unknown."""
    time = f"{datetime.fromtimestamp(run.time):%Y-%m-%d %H:%M}"
    sizes = (_whole(run, name) for name in ("steps", "seconds", "parameters"))
    return [run.name, time, run.kind, *sizes]


def _whole(run: FoundRun, name: str) -> str:
    return f"{run.numbers[name]:.0f}" if name in run.numbers else ""


def _cell(run: FoundRun, name: str) -> str:
    return f"{run.numbers[name]:.5g}" if name in run.numbers else ""
