"""Writes a checkpoint as one safetensors file, or as a published model of another library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from framework.console.errors import UserError
from framework.console.outputs import require_new, written
from framework.console.parsing import VerbParser
from framework.exchange.conversion import FORMATS
from framework.exchange.exporting import export
from framework.exchange.packaging import package
from framework.packaged import SUFFIX

NAMES: Any = Literal[tuple(FORMATS)]


def run(args: list[str], prog: str) -> None:
    """Runs `export CHECKPOINT OUTPUT [--format FORMAT]`.

    Args:
        args: What follows `export` on the command line.
        prog: Name of the program.

    Raises:
        UserError: If an argument is wrong.
        ValueError: If the checkpoint cannot be read, the format has no such model, or the
            output holds one, or a file that would be written, already.
    """
    parser = VerbParser(
        prog=f"{prog} export",
        description="Writes a checkpoint as one safetensors file that all verbs read, a third of "
        "its size; or as a directory that other libraries read, such as transformers.",
    )
    parser.add_argument(
        "checkpoint", type=Path, help="A checkpoint; of a LanguageModel for a directory."
    )
    parser.add_argument(
        "output", type=Path, help="A file MODEL.safetensors, or a directory for another format."
    )
    parser.add_argument(
        "--format",
        type=NAMES | None,
        help="That of OLMo's and FANformer's own code (olmo), of its wrapper for Hugging Face "
        "(hf_olmo), or a family of transformers; null: the one it was imported from, or olmo.",
    )
    parser.add_argument(
        "--licence",
        type=str | None,
        help="Licence of the weights, which the card states as the hub names it, such as "
        "apache-2.0; null: unknown. A model that was imported keeps the card that it had.",
    )
    given = parser.parse(args)
    if given.output.suffix == SUFFIX:
        for name in ("format", "licence"):
            if given[name] is not None:
                raise UserError(
                    f"--{name} {given[name]} is that of a directory; drop it, or name a directory "
                    f"in place of {given.output}."
                )
        require_new(given.output)
        package(given.checkpoint, given.output)
        print(given.output)
        return
    published = export(given.checkpoint, FORMATS.get(given.format), given.licence)
    with written(given.output):
        published.write(given.output)
    print("\n".join(str(given.output / name) for name in (*published.files, *published.texts)))
