"""Prints versions, devices and variables, for reports of bugs."""

from __future__ import annotations

from framework.catalogue.plain_parser import PlainParser
from framework.environment import report

DESCRIPTION = "Prints versions, devices and variables; put its lines into the report of a bug."


def run(words: list[str], prog: str) -> None:
    """Runs `env`.

    Args:
        words: What follows `env` on the command line: nothing.
        prog: What the command is called.

    Raises:
        UserError: If something follows.
    """
    PlainParser(f"{prog} env", DESCRIPTION).parse_args(words)
    print(report())
