"""Writes a checkpoint as OLMo's and FANformer's own code does."""

from __future__ import annotations

from pathlib import Path

from framework.console.words import VerbParser
from framework.exchange.conversion import EXPORTED, export


def run(words: list[str], prog: str) -> None:
    """Runs `export CHECKPOINT DIRECTORY [--format FORMAT]`.

    Args:
        words: What follows `export` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If the words are wrong.
        ValueError: If the checkpoint cannot be read, the format has no such model, or the
            directory holds one already.
    """
    parser = VerbParser(
        prog=f"{prog} export",
        description="Writes a checkpoint as OLMo's and FANformer's own code does.",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", type=Path, help="A checkpoint of a LanguageModel.")
    parser.add_argument("directory", type=Path, help="Where to write its files.")
    parser.add_argument(
        "--format",
        choices=sorted(EXPORTED),
        help="That of the code (olmo) or of its wrapper for Hugging Face (hf_olmo); if not "
        "given, the one it was imported from, or olmo.",
    )
    given = parser.parse_args(words)
    published = export(given.checkpoint, EXPORTED.get(given.format))
    published.write(given.directory)
    print("\n".join(str(given.directory / name) for name in (*published.files, *published.texts)))
