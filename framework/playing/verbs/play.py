"""Plays the policy of a checkpoint in an environment, for one or several target returns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from framework.console.checkpoint_options import HELP, leading
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.playing.episodes import play
from framework.tables import table

DESCRIPTION = (
    "Plays the policy of a checkpoint in an environment, several episodes at once, and prints a "
    "row for each target return: its mean ± sample standard deviation, and how it compares with "
    "random actions (0) and with the data or an expert (100). The checkpoint comes first, then "
    "options."
)


def run(words: list[str], program: str) -> None:
    """Runs `play CHECKPOINT [--OPTION VALUE ...]`.

    Args:
        words: What follows `play` on the command line.
        program: Name of the command.

    Raises:
        UserError: If an option is wrong.
        ValueError: If the checkpoint or the environment cannot be used.
    """
    paths, flags = leading(words)
    if len(paths) != 1 and not HELP & set(flags):
        raise UserError(
            f"play takes one checkpoint, got {len(paths)}; write `play CHECKPOINT`, then options."
        )
    options = _parser(program).parse(_listed(flags)).as_dict()
    played = play(paths[0], **options)
    title = f"{played.environment}, {options['episodes']} episodes for each target return"
    print(table(title, played.table()), flush=True)
    if written := [path for name in ("output", "video") if (path := options[name]) is not None]:
        print("\n" + "\n".join(map(str, written)), flush=True)


def _parser(program: str) -> VerbParser:
    parser = VerbParser(prog=f"{program} play", description=DESCRIPTION)
    parser.add_function_arguments(play, skip={"checkpoint"})
    return parser


def _listed(words: Sequence[str]) -> list[str]:
    """Joins `--returns` and its numbers, as -150,-300 looks like an option, and brackets a list.

    Example:
        >>> _listed(["--returns", "-150,-300", "--episodes", "2"])
        ['--returns=[-150,-300]', '--episodes', '2']
    """
    joined: list[str] = []
    for word in words:
        if joined[-1:] == ["--returns"]:
            joined[-1] = f"--returns={word}"
        else:
            joined.append(word)
    return [re.sub(r"^--returns=([^\[]*,.*)$", r"--returns=[\1]", word) for word in joined]
