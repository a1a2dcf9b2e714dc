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

    def error(self, message: str) -> NoReturn:
        """Reports what is wrong.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message}; `{self.prog} --help` lists the options.")
