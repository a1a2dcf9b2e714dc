"""Counts parameters, operations, memory and time of a recipe, and starts nothing."""

from __future__ import annotations

from framework.planning.command import PlanCommand


def run(words: list[str], program: str) -> None:
    """Runs `plan --config RECIPE [--OPTION VALUE ...]`.

    Data are prepared as for training, and one batch is read for its shape.

    Args:
        words: What follows `plan` on the command line, as after `fit`.
        program: Name of the command.

    Raises:
        UserError: If an option is wrong.
        ValueError: If costs cannot be counted on shapes alone.
    """
    PlanCommand(words, program)
