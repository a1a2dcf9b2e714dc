"""Runs a study, in a folder where it can be resumed, here or as jobs of a cluster."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from framework.console import recipes
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.run_files import STUDY
from framework.studies import Study
from framework.studies.array import StudyJobs
from framework.studies.runs import processes
from framework.whole_files import write_text

WAYS = ("slurm", "task", "report")  # to do something else than to run all here
SLURM = (
    "Submit an array job of Slurm, one task a run (with learning rates to choose from two jobs, "
    "one after the other), and a job that writes the tables. Options of sbatch may follow, as in "
    '--slurm="--time=2:00:00 --cpus-per-task=4".'
)


def run(words: list[str], prog: str) -> None:
    """Runs `study NAME [--folder FOLDER] [--slurm[=OPTIONS]] [--study.OPTION VALUE ...]`.

    Args:
        words: What follows `study` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If there is no study of that name, or an option is wrong.
    """
    if not words or words[0].startswith("-"):
        if not {"-h", "--help"} & set(words):
            raise UserError("study needs the name of a study; `overtone recipes` lists them.")
        name, path = "study", None
    else:
        path = recipes.find(words[0], recipes.studies())
        name = path.stem
    parser = study_parser(Path("runs") / "studies" / name, f"{prog} study")
    given = words if path is None else ["--config", str(path), *words[1:]]
    config = parser.parse(given)
    if config.jobs < 1:
        raise UserError(f"--jobs {config.jobs} runs nothing; use at least 1.")
    chosen = [f"--{name}" for name in WAYS if config[name] not in (None, False)]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} exclude each other; give one of them.")
    built = parser.instantiate_classes(config)
    study, folder = built.study, Path(built.folder)
    if config.task is not None:
        with _outliving_signals():
            study.run_one(folder, config.task)
        return
    _claim(folder, parser.dump(config), study)
    if config.slurm is not None:
        _submit(study, folder, words, config.slurm)
    elif config.report:
        study.report(folder)
    else:
        study.run(folder, built.jobs)


def _submit(study: Study, folder: Path, words: list[str], options: str) -> None:
    """Submits what is not finished to Slurm, or writes the tables if all is."""
    if not (rounds := study.rounds(folder)):
        study.report(folder)
        return
    try:
        given = shlex.split(options)
    except ValueError as error:
        raise UserError(f"--slurm={options!r}: {error}; quote it as for a shell.") from error
    pairs = zip(["", *words], words, strict=False)
    kept = [
        word
        for before, word in pairs
        if not word.startswith("--slurm") and (before, word) != ("--slurm", options)
    ]
    jobs = StudyJobs(kept, folder, given).submit(rounds)
    number = sum(map(len, rounds))
    print(
        f"{number} runs to go, in {folder}: submitted {', '.join(jobs)}; the last of these jobs "
        f"writes {folder / 'table.md'}."
    )


@contextmanager
def _outliving_signals() -> Iterator[None]:
    """Lets a task wait for its run, which a signal of Slurm to both tells to save and end."""
    numbers = (signal.SIGUSR1, signal.SIGTERM)
    before = {number: signal.signal(number, _wait) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wait(*_: object) -> None:
    """Does nothing; unlike an ignored signal, processes that are started do not inherit it."""


def _claim(folder: Path, options: str, study: Study) -> None:
    """Writes into the folder with which options it is filled; results there have no others.

    Raises:
        UserError: If it holds results of other options.
    """
    note = folder / STUDY
    wanted = yaml.safe_load(options)["study"]
    if note.is_file() and not study.extensible:
        if yaml.safe_load(note.read_text(encoding="utf-8")) != wanted:
            raise UserError(
                f"{folder} holds results of other options, see {note}; choose another --folder."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_text(note, yaml.safe_dump(wanted, sort_keys=False))


def study_parser(folder: Path = Path("runs"), prog: str = "study") -> VerbParser:
    """Makes the parser of the options of the verb, which the file of a study sets, too.

    Args:
        folder: Where results are kept if `--folder` is not given.
        prog: What the verb is called.
    """
    parser = VerbParser(
        prog=prog,
        description="Runs a study: NAME, then options. Finished runs are not repeated.",
    )
    parser.add_argument("--config", action="config", help="A study's YAML file, read first.")
    parser.add_argument("--folder", type=str, default=str(folder), help="Where results are kept.")
    jobs = "Processes to run side by side."
    parser.add_argument("--jobs", type=int, default=processes(), help=jobs)
    parser.add_argument("--slurm", nargs="?", type=str, const="", help=SLURM)
    parser.add_argument("--task", type=int | None, help="Run only the run of this number.")
    parser.add_argument("--report", action="store_true", help="Run nothing, write the tables.")
    parser.add_subclass_arguments(Study, "study", required=True)
    return parser
