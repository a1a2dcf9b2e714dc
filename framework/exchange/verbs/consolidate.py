"""Joins the shards of a distributed checkpoint into one file."""

from __future__ import annotations

from pathlib import Path

from framework.checkpoint_files import save
from framework.checkpoints import joined
from framework.console.errors import UserError
from framework.console.outputs import require_new, written
from framework.console.parsing import VerbParser
from framework.exchange.packaging import package
from framework.packaged import SUFFIX

CHECKPOINT = ".ckpt"


def run(args: list[str], prog: str) -> None:
    """Runs `consolidate FOLDER OUTPUT`.

    Args:
        args: What follows `consolidate` on the command line.
        prog: Name of the program.

    Raises:
        UserError: If an argument is wrong.
        ValueError: If the folder cannot be read, or the output exists.
    """
    parser = VerbParser(
        prog=f"{prog} consolidate",
        description="Joins the shards of a distributed checkpoint into one file, in one process "
        "and on the CPU: its memory must hold what is written.",
    )
    parser.add_argument("folder", type=Path, help="A folder of shards.")
    parser.add_argument(
        "output",
        type=Path,
        help="A file MODEL.safetensors for the model alone, which all verbs read; or "
        "MODEL.ckpt for all of the checkpoint, with which a run can go on.",
    )
    given = parser.parse(args)
    if given.folder.is_file():
        raise UserError(f"{given.folder} is one file already, which all verbs read.")
    require_new(given.output, (SUFFIX, CHECKPOINT))
    if given.output.suffix == SUFFIX:
        package(given.folder, given.output)
    else:
        whole = joined(given.folder)
        with written(given.output):
            save(whole, given.output)
    print(given.output)
