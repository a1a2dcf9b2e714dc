"""The report of a study: its tables with intervals, all seeds, its curves and its runs."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import indent

import yaml

from framework.catalogue.report import logs
from framework.catalogue.report.blocks import (
    Block,
    Charts,
    Picture,
    Report,
    Section,
    Sentence,
    Table,
    Text,
)
from framework.catalogue.report.origins import environment
from framework.catalogue.runs import (
    SET_ASIDE,
    FoundRun,
    find_runs,
    metrics_of,
    recipes_of,
    rows,
)
from framework.console.recipes import find
from framework.run_files import COMPARISON, FINISHED, HAS_DIVERGED, RESULTS, STUDY, TABLES

MEANS = (
    "Lines are means over the seeds of a variant, at the steps that all of them logged; faint "
    "lines are single runs. Of several learning rates that is drawn which most seeds have."
)
SUMMARY = "Mean ± sample standard deviation over n seeds"
DIFFERENCES = "Differences seed by seed, with Student's interval for their mean"


def is_study(folder: Path) -> bool:
    """Whether a folder is that of a study or a comparison."""
    return any((folder / name).is_file() for name in (TABLES, RESULTS, COMPARISON, STUDY))


def report_study(folder: Path) -> Report:
    """Reports a study.

    Args:
        folder: Where its results are kept.

    Raises:
        ValueError: If a file in it is damaged.
    """
    found = find_runs(folder)
    curves = logs.compared(_logged(folder))
    sections: dict[str, Sequence[Block]] = {
        "Results": [*_tables(folder)],
        "Pictures": [
            Picture(path.stem, path.read_bytes(), path) for path in sorted(folder.glob("*.png"))
        ],
        "Curves": [Sentence(MEANS), Charts(curves)] if curves else [],
        "Runs": [Table(rows(found, metrics_of(found)))] if found else [],
        "Reproduction": [*_reproduction(folder)],
        "Environment": environment(_newest_recipe(folder, found)),
    }
    ended = sum(run.ended for run in found)
    return Report(
        folder.resolve().name,
        f"Study of {len(found)} runs, {ended} of which have ended",
        [],
        [Section(title, blocks) for title, blocks in sections.items() if blocks],
    )


def _tables(folder: Path) -> Iterator[Block]:
    path = folder / TABLES
    if not path.is_file():
        yield Sentence(
            f"There is no {TABLES} yet; the command of the study with --report writes it."
        )
        return
    for part in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
        lines = [line for line in part.splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
        table = [row for row in cells if not all(set(cell) <= {"-", ":"} for cell in row)]
        if len(table) > 1:
            width = len(table[0])
            title = DIFFERENCES if "verdict" in table[0] else SUMMARY if "n" in table[0] else ""
            yield Table([[*row, *[""] * width][:width] for row in table], title)


def _logged(folder: Path) -> Iterator[tuple[str, logs.Scalars]]:
    """Yields variants and what their runs logged, of the learning rate that most of them have."""
    notes = [
        path for path in folder.rglob(FINISHED) if not any(map(SET_ASIDE.fullmatch, path.parts))
    ]
    notes.sort(key=lambda path: path.stat().st_mtime_ns)  # as they ended
    kept = [(path, run) for path in notes if (run := _kept(path)) is not None]
    counts = Counter((run["variant"], run["learning_rate"]) for _, run in kept)
    for path, run in kept:
        arm, rate = run["variant"], run["learning_rate"]
        best = max((key for key in counts if key[0] == arm), key=lambda key: counts[key])
        if rate == best[1]:
            yield arm, logs.read_logs(path.parent / run["logs"]).scalars


def _kept(path: Path) -> dict[str, str] | None:
    """Returns what tells a run and where it logged, None if it diverged."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        if read.get(HAS_DIVERGED):
            return None
        rate = str(read.get("learning_rate"))  # which earlier versions did not note
        return {"variant": str(read["variant"]), "learning_rate": rate, "logs": str(read["logs"])}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is no note of a finished run ({error!r}); remove it.") from error


def _reproduction(folder: Path) -> Iterator[Block]:
    """Shows the options of a study, and the command that runs them."""
    for name in (COMPARISON, STUDY):
        path = folder / name
        if path.is_file():
            text = find(str(path)).read_text(encoding="utf-8")
            if "study" not in yaml.safe_load(text):  # `study` notes what is below this key
                text = f"study:\n{indent(text, '  ')}"
            words = ["overtone", "study", name, "--folder", folder.resolve().name]
            title = f"The command, with the options below, saved as {name}"
            yield Text(title, shlex.join(words), folded=False)
            yield Text("All options", text, file=name)


def _newest_recipe(folder: Path, runs: Sequence[FoundRun]) -> Path | None:
    """Returns the last recipe of the newest training below a folder, None if there is none."""
    trained = [folder / run.name for run in runs if run.trained and run.name != str(folder)]
    return recipes_of(trained[-1])[-1] if trained else None
