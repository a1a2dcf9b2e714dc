"""What a run was made with: its configuration, the command that repeats it, the environment."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from framework.catalogue.report.blocks import Block, Sentence, Table, Text
from framework.catalogue.report.differences import differences, origin_of
from framework.console.recipes import find
from framework.environment import facts
from framework.run_files import Provenance, read_provenance

UNKNOWN = Provenance([], {})


def reproduction(recipe: Path) -> list[Block]:
    """Shows the commands that repeat a run, its configuration, and how its recipe differs.

    Args:
        recipe: The complete configuration that it saved.

    Raises:
        UserError: If that is no YAML.
        FileNotFoundError: If that is a link to nothing.
        ValueError: If what stands beside it is damaged.
    """
    recipe.stat()  # fails at a link to nothing, which `find` would take for a name
    text = find(str(recipe)).read_text(encoding="utf-8")
    command = (read_provenance(recipe) or UNKNOWN).command
    exact = shlex.join(["overtone", "fit", "--config", recipe.name])
    commands = {f"The same run, from all options below, saved as {recipe.name}": exact}
    if command:
        commands = {"The command that started the run": shlex.join(command), **commands}
    return [
        *(Text(title, line, folded=False) for title, line in commands.items()),
        *_difference(command, text),
        Text("All options", text, file=recipe.name),
    ]


def _difference(command: Sequence[str], text: str) -> list[Block]:
    config = yaml.safe_load(text)
    origin = origin_of(command, config)
    if origin is None:
        return [Sentence("The run did not note which recipe it came from.")]
    if origin.path is None:
        return [Sentence(f"Its recipe, {origin.name}, is not found here, to compare with.")]
    rows = differences(origin, config)
    if len(rows) == 1:
        return [Sentence(f"All that the recipe {origin.name} sets, the run has set as well.")]
    return [Table(rows, f"What differs from the recipe {origin.name}, as it is now", words=True)]


def environment(recipe: Path | None) -> list[Block]:
    """Shows the environment that a run noted, else that of the report.

    Raises:
        ValueError: If what it noted is damaged.
    """
    noted = (read_provenance(recipe) or UNKNOWN).environment if recipe else {}
    title = "Of the run" if noted else "Of this report; the run noted none"
    rows = [[name, value] for name, value in (noted or dict(facts())).items()]
    return [Table([["fact", "value"], *rows], title, words=True)]
