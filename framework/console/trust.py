"""`--trust`: lets a checkpoint, and the recipe beside it, import modules of the user."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from framework.console import verbs
from framework.console.errors import UserError
from framework.importing import TRUST

FLAG = "--trust"
HELP = (
    f"{FLAG}: lets the checkpoint, and the recipe beside it, import modules other than those of "
    "Overtone, PyTorch, Lightning and installed packages of parts."
)


@contextmanager
def granted(args: Sequence[str]) -> Iterator[list[str]]:
    """Takes `--trust` from a command line, and grants it to this process and those it starts.

    Args:
        args: The command line, the verb first.

    Yields:
        The other words.

    Raises:
        UserError: If the verb reads no checkpoint.
    """
    if FLAG not in args:
        yield list(args)
        return
    if args[0].startswith("-") or not verbs.reads_checkpoint(args[0]):
        raise UserError(
            f"{FLAG} goes behind a command that reads a checkpoint, as in "
            f"`validate --ckpt_path PATH {FLAG}`; drop it here."
        )
    before = os.environ.get(TRUST)
    os.environ[TRUST] = "1"
    try:
        yield [word for word in args if word != FLAG]
    finally:
        os.environ.pop(TRUST)
        if before is not None:
            os.environ[TRUST] = before


def help_of(program: str) -> str:
    """Returns the sentence on `--trust` for the help of a verb, "" if it reads no checkpoint.

    Args:
        program: The command with its verb and perhaps a question behind it.
    """
    words = program.split()
    return HELP if len(words) > 1 and verbs.reads_checkpoint(words[1]) else ""
