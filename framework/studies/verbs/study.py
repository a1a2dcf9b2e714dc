"""Runs a study, in a folder where it can be resumed."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from framework.console import recipes
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.studies import Study

OPTIONS = "study.yaml"  # in the folder of results: the options of the study that fills it


def run(words: list[str], prog: str) -> None:
    """Runs `study NAME [--folder FOLDER] [--jobs JOBS] [--study.OPTION VALUE ...]`.

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
    parser = _parser(Path("runs") / "studies" / name, f"{prog} study")
    given = words if path is None else ["--config", str(path), *words[1:]]
    config = parser.parse(given)
    if config.jobs < 1:
        raise UserError(f"--jobs {config.jobs} runs nothing; use at least 1.")
    built = parser.instantiate_classes(config)
    _claim(Path(config.folder), parser.dump(config), built.study)
    built.study.run(Path(built.folder), built.jobs)


def _claim(folder: Path, options: str, study: Study) -> None:
    """Writes into the folder with which options it is filled; results there have no others.

    Raises:
        UserError: If it holds results of other options.
    """
    note = folder / OPTIONS
    wanted = yaml.safe_load(options)["study"]
    if note.is_file() and not study.extensible:
        if yaml.safe_load(note.read_text(encoding="utf-8")) != wanted:
            raise UserError(
                f"{folder} holds results of other options, see {note}; choose another --folder."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    note.write_text(yaml.safe_dump(wanted, sort_keys=False), encoding="utf-8")


def _parser(folder: Path, prog: str) -> VerbParser:
    parser = VerbParser(
        prog=prog,
        description="Runs a study: NAME, then options. Finished runs are not repeated.",
    )
    parser.add_argument("--config", action="config", help="A study's YAML file, read first.")
    parser.add_argument("--folder", type=str, default=str(folder), help="Where results are kept.")
    jobs = max(1, (os.cpu_count() or 1) // 2)
    parser.add_argument("--jobs", type=int, default=jobs, help="Processes to run side by side.")
    parser.add_subclass_arguments(Study, "study", required=True)
    return parser
