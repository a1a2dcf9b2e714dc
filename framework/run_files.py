"""Files that runs and studies leave, and their names; numbers and provenance are JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from framework.whole_files import write_text

METRICS = "metrics.json"  # in the log directory: the numbers of the table
BASELINES = "baselines/"  # begins the names of scores of simple predictions there
FIGURES = "figures"  # in the log directory: the folder of pictures
PREDICTIONS = "predictions.jsonl"  # in the log directory: a row for each example
FINISHED = "finished.json"  # in the folder of a run of a study: its results
HAS_DIVERGED = "diverged"  # there: true if its training did
RESULTS, TABLES = "results.csv", "table.md"  # in that of a study: every number, and the tables
COMPARISON = "comparison.yaml"  # there: what `compare` runs, as `study` takes it
STUDY = "study.yaml"  # there: the options of the study that fills it
PROVENANCE = "provenance{}.json"  # beside config{}.yaml: how that training was started, and where


class Provenance(NamedTuple):
    """How a training was started, and where.

    Args:
        command: Words of the command line, the program first.
        environment: Versions, devices and variables by name.
    """

    command: Sequence[str]
    environment: Mapping[str, str]


def write_metrics(folder: Path, numbers: Mapping[str, float]) -> None:
    """Writes numbers into a log directory, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / METRICS, json.dumps(numbers, indent=1))


def read_metrics(path: Path) -> dict[str, float]:
    """Reads a file of numbers.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in numbers.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no numbers by name ({error}); remove it.") from error


def write_provenance(recipe: Path, provenance: Provenance) -> None:
    """Writes how a training was started beside the recipe that it saved."""
    text = json.dumps(provenance._asdict(), indent=1, ensure_ascii=False)
    write_text(_provenance_of(recipe), f"{text}\n")


def read_provenance(recipe: Path) -> Provenance | None:
    """Reads how the training was started that saved a recipe; None if it did not note that.

    Raises:
        ValueError: If the file is damaged.
    """
    path = _provenance_of(recipe)
    if not path.is_file():
        return None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        facts = {str(name): str(value) for name, value in read["environment"].items()}
        if not isinstance(words := read["command"], list):
            raise TypeError("the command is no list of words")
        return Provenance([str(word) for word in words], facts)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(
            f"{path} holds no command and environment ({error}); remove it."
        ) from error


def _provenance_of(recipe: Path) -> Path:
    return recipe.with_name(PROVENANCE.format(recipe.stem.removeprefix("config")))
