"""Writes a checkpoint in the format of OLMo's and FANformer's own code."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from framework.console.parsing import VerbParser
from framework.exchange.conversion import EXPORTED, export


def run(args: list[str], prog: str) -> None:
    """Runs `export CHECKPOINT DIRECTORY [--format FORMAT]`.

    Args:
        args: What follows `export` on the command line.
        prog: Name of the program.

    Raises:
        UserError: If an argument is wrong.
        ValueError: If the checkpoint cannot be read, the format has no such model, or the
            directory holds one already.
    """
    parser = VerbParser(
        prog=f"{prog} export",
        description="Writes a checkpoint in the format of OLMo's and FANformer's own code.",
    )
    parser.add_argument("checkpoint", type=Path, help="A checkpoint of a LanguageModel.")
    parser.add_argument("directory", type=Path, help="Where to write its files.")
    parser.add_argument(
        "--format",
        type=Literal["olmo", "hf_olmo"] | None,
        help="That of the code (olmo) or of its wrapper for Hugging Face (hf_olmo); null: the one "
        "it was imported from, or olmo.",
    )
    given = parser.parse(args)
    published = export(given.checkpoint, EXPORTED.get(given.format))
    published.write(given.directory)
    print("\n".join(str(given.directory / name) for name in (*published.files, *published.texts)))
