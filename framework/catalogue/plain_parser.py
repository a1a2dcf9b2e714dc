"""A parser for verbs that must answer at once: Python's own, with errors in one sentence."""

from __future__ import annotations

import argparse
from typing import NoReturn

from framework.console.errors import UserError


class PlainParser(argparse.ArgumentParser):
    """Parses the options of a verb without importing anything that takes seconds.

    Args:
        prog: The command with its verb.
        description: What the verb does.
    """

    def __init__(self, prog: str, description: str) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def add_count(self, flag: str, meaning: str, example: int) -> None:
        """Adds an option that is a number of things.

        Args:
            flag: Its name, with dashes.
            meaning: Its help.
            example: A number to write in its place, for the error.
        """

        def count(text: str) -> int:
            if not text.isdecimal() or int(text) < 1:
                raise UserError(
                    f"{flag} {text!r} is no number from 1 on; write one such as {example}."
                )
            return int(text)

        self.add_argument(flag, type=count, metavar="NUMBER", help=meaning)

    def error(self, message: str) -> NoReturn:
        """Reports what is wrong.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message}; `{self.prog} --help` lists the options.")
