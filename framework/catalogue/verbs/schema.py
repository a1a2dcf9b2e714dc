"""Writes a JSON schema of recipes or studies, by which editors complete and check them."""

from __future__ import annotations

import json
from pathlib import Path

from framework.catalogue.plain_parser import PlainParser
from framework.console.outputs import require_new

DESCRIPTION = (
    "Writes a JSON schema of recipes, or of studies: names of classes and options, types, "
    "choices, defaults and their documentation, also of installed packages. An editor with the "
    "YAML language server reads it where a recipe begins with "
    "`# yaml-language-server: $schema=recipe.schema.json`."
)


def run(words: list[str], prog: str) -> None:
    """Runs `schema [--studies] [--output FILE]`.

    Args:
        words: What follows `schema` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If an option is wrong, or the file exists or cannot be written.
    """
    parser = PlainParser(f"{prog} schema", DESCRIPTION)
    parser.add_argument("--output", help="The file, a new one; by default it is printed.")
    parser.add_argument("--studies", action="store_true", help="Of studies in place of recipes.")
    options = parser.parse_args(words)
    if options.output is not None:
        require_new(Path(options.output))
    from framework.catalogue import schema  # imports torch, which the help must not

    text = json.dumps(schema.study_schema() if options.studies else schema.recipe_schema())
    if options.output is None:
        print(text)
        return
    Path(options.output).write_text(f"{text}\n", encoding="utf-8")
    print(options.output)
