"""Lists the parts that recipes can name, one line each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from framework.catalogue.plain_parser import PlainParser

DESCRIPTION = (
    "Lists the classes that an option of recipes takes, ours and those of installed packages, "
    "with one line each: list heads, list losses, list data. Without a name, lists the options."
)
WIDTH = 120  # of a line


def run(words: list[str], prog: str) -> None:
    """Runs `list [OPTION]`.

    Args:
        words: What follows `list` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If there are no such parts.
    """
    parser = PlainParser(f"{prog} list", DESCRIPTION)
    parser.add_argument("option", nargs="?", help="As in a recipe, also in the plural: heads.")
    option = parser.parse_args(words).option
    from framework.catalogue import parts  # imports torch, which the help must not

    if option is None:
        _print(parts.rows(list(parts.kinds())))
    else:
        _print(parts.listing(parts.find(option)))


def _print(rows: Sequence[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        short = textwrap.shorten(text, max(20, WIDTH - width - 2), placeholder=" …")
        print(f"{name:<{width}}  {short}".rstrip())
