"""The verb `study`: runs a shipped or own study, in a folder where it can be resumed."""

from __future__ import annotations

import os
from pathlib import Path

from jsonargparse import ArgumentError, ArgumentParser

from framework.console import shelf
from framework.console.mistakes import Mistake
from framework.console.parsing import explain
from framework.studies import Study


def run_study(words: list[str], prog: str) -> None:
    """Runs `study NAME [--folder FOLDER] [--jobs JOBS] [--study.OPTION VALUE ...]`.

    Args:
        words: What follows `study` on the command line.
        prog: What the command is called.

    Raises:
        Mistake: If there is no study of that name, or an option is wrong.
    """
    if not words or words[0].startswith("-"):
        if not {"-h", "--help"} & set(words):
            raise Mistake("study needs the name of one; `overtone recipes` lists them.")
        name, path = "study", None
    else:
        path = shelf.find(words[0], shelf.studies())
        name = path.stem
    parser = _parser(Path("runs") / "studies" / name, f"{prog} study")
    given = words if path is None else ["--config", str(path), *words[1:]]
    try:
        config = parser.parse_args(given)
    except ArgumentError as error:
        raise Mistake(explain(error.message, parser)) from error
    if config.jobs < 1:
        raise Mistake(f"--jobs {config.jobs} runs nothing; use at least 1.")
    built = parser.instantiate_classes(config)
    built.study.run(Path(built.folder), built.jobs)


def _parser(folder: Path, prog: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog=prog,
        description="Runs a study: NAME, then options. Finished runs are not repeated.",
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_argument("--config", action="config", help="A study's YAML file, read first.")
    parser.add_argument("--folder", type=str, default=str(folder), help="Where results are kept.")
    jobs = max(1, (os.cpu_count() or 1) // 2)
    parser.add_argument("--jobs", type=int, default=jobs, help="Processes to run side by side.")
    parser.add_subclass_arguments(Study, "study", required=True)
    return parser
