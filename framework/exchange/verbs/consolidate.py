"""Joins the shards of a distributed checkpoint into one file."""

from __future__ import annotations

from pathlib import Path

from framework.checkpoint_files import save
from framework.checkpoints import joined, load_parameters, read
from framework.console.errors import UserError
from framework.console.parsing import VerbParser
from framework.packaged import SUFFIX, write_packaged

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
        help="A file MODEL.safetensors for the parameters alone, which all verbs read; or "
        "MODEL.ckpt for all of the checkpoint, with which a run can go on.",
    )
    given = parser.parse(args)
    if given.output.suffix not in (SUFFIX, CHECKPOINT):
        raise UserError(
            f"{given.output} is neither a file *{SUFFIX} nor a file *{CHECKPOINT}; name one."
        )
    if given.output.exists():
        raise UserError(f"{given.output} exists already; choose another name, or delete it.")
    if given.folder.is_file():
        raise UserError(f"{given.folder} is one file already, which all verbs read.")
    if given.output.suffix == SUFFIX:
        options = read(given.folder).get("hyper_parameters", {})
        write_packaged(given.output, options, load_parameters(given.folder))
    else:
        save(joined(given.folder), given.output)
    print(given.output)
