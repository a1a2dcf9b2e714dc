"""Parses the words of a verb that takes no YAML."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import NoReturn

from framework.console.errors import UserError


class VerbParser(ArgumentParser):
    """Parses the words of a verb, and says in one sentence what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raises what was found wrong as a mistake."""
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ")
        raise UserError(f"{message}; write `{usage}`.")
