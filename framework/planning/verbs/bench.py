"""Measures how fast a recipe trains, and how much of the hardware it uses."""

from __future__ import annotations

from framework.planning.command import BenchCommand


def run(words: list[str], program: str) -> None:
    """Runs `bench --config RECIPE [--OPTION VALUE ...]`.

    Args:
        words: What follows `bench` on the command line, as after `fit`.
        program: Name of the command.

    Raises:
        UserError: If an option is wrong.
        ValueError: If the run ends before a step is measured.
    """
    BenchCommand(words, program)
