"""Measures a language model on tasks of lm-eval-harness: its own, or those of a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from framework.generation.harness import Harness
from framework.generation.model import TextModel

BOOTSTRAPS = 1000  # samples from which standard errors are estimated that have no formula


@dataclass(frozen=True)
class Measured:
    """A number that a task gives.

    Args:
        task: Name of the task, or of a group of them.
        metric: Name of the number.
        value: The number.
        error: Its standard error; None if it is not known.
    """

    task: str
    metric: str
    value: float
    error: float | None


def measure(
    model: TextModel,
    tasks: Sequence[str],
    folder: Path | None = None,
    shots: int | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    device: torch.device | None = None,
) -> list[Measured]:
    """Measures a model on tasks.

    Args:
        model: The model.
        tasks: Names of tasks, or of groups of them.
        folder: Folder of YAML files that describe tasks; those of lm-eval are known, too.
        shots: Solved examples in front of each; as many as the task says if not given.
        limit: Examples of each task, the first ones; all if not given.
        batch_size: Texts in a batch.
        device: Where to compute; the CPU if not given.

    Raises:
        ValueError: If lm-eval is missing, a task is unknown, or it asks for what the model cannot
            do.
    """
    require_harness()
    from lm_eval.api.model import TemplateLM  # which takes seconds to import
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    adapter = type("Adapter", (Harness, TemplateLM), {})
    index = _index(TaskManager, tasks, folder)
    found = simple_evaluate(
        model=adapter(model, batch_size, device),
        tasks=list(tasks),
        task_manager=index,
        num_fewshot=shots,
        limit=limit,
        bootstrap_iters=BOOTSTRAPS,
        log_samples=False,
    )
    results = {**found["results"], **found.get("groups", {})}
    return [one for name, numbers in results.items() for one in _numbers(name, numbers)]


def require_harness() -> None:
    """Checks that lm-eval is installed.

    Raises:
        ValueError: If it is not.
    """
    try:
        import lm_eval  # noqa: F401 # only whether it is there
    except ImportError as error:
        raise ValueError(
            "Tasks need the package lm_eval; run `pip install 'overtone[lm-eval]'`."
        ) from error


def _index(kind: Any, tasks: Sequence[str], folder: Path | None) -> Any:
    """Returns an index of tasks that has all that are named.

    Those of lm-eval are thousands of files, which are read only where one of them is named.

    Args:
        kind: The class of the index.
        tasks: Names of tasks.
        folder: Folder of further ones.

    Raises:
        ValueError: If there is no such task.
    """
    own = [] if folder is None else [kind(include_path=str(folder), include_defaults=False)]
    for index in own:
        if all(index.match_tasks([name]) for name in tasks):
            return index
    index = kind(include_path=None if folder is None else str(folder))
    for name in tasks:
        if not index.match_tasks([name]):
            where = "" if folder is None else f" nor in {folder}"
            raise ValueError(
                f"There is no task {name!r} in lm-eval{where}; `lm-eval ls tasks` lists those "
                "that it has."
            )
    return index


def _numbers(task: str, numbers: Mapping[str, Any]) -> list[Measured]:
    """Lists the numbers of a task, whose names end in that of the filter of answers.

    Example:
        >>> _numbers("a", {"alias": "a", "acc,none": 0.5, "acc_stderr,none": "N/A"})
        [Measured(task='a', metric='acc', value=0.5, error=None)]
    """
    found = []
    for key, value in numbers.items():
        metric, comma, chosen = key.partition(",")
        if not comma or metric.endswith("_stderr"):
            continue
        error = numbers.get(f"{metric}_stderr,{chosen}")
        name = metric if chosen == "none" else f"{metric}, {chosen}"
        known = error if isinstance(error, float) else None
        found.append(Measured(task, name, float(value), known))
    return found
