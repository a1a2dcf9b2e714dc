"""The command line: `overtone` and `lightning` are this `main`.

    overtone recipes                        lists what is shipped, one line each
    lightning fit --config quickstart       trains a recipe, found by name from any directory
    lightning fit --config my.yaml --config heads/fourier --trainer.max_steps 500
    overtone study toy                      runs many recipes and compares them in a table
    overtone future probes NAME.ckpt        asks what a model does for positions to come
    overtone probe NAME.ckpt                asks how its read-out encodes probabilities of tokens
    overtone edit NAME.ckpt NEW.ckpt        makes tokens more or less likely by their rows there
    overtone prune NAME.ckpt NEW.ckpt       deletes dimensions of the read-out
    overtone import DIRECTORY NAME.ckpt     makes a checkpoint of a published OLMo, GPT-2, Llama
    overtone export NAME.ckpt DIRECTORY     writes one in the format of OLMo and FANformer
    lightning test --ckpt_path runs/quickstart/version_0/checkpoints/best.ckpt

A mistake ends in one sentence and status 2. Set OVERTONE_DEBUG=1 to see where it came from.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module, metadata
from pathlib import Path

from framework.console import recipes, verbs
from framework.console.errors import UserError, sentence

NAMES = ("overtone", "lightning")
TARGET = "cli:main"
FACES = (  # whose classes can be chosen by their short names, once they are imported
    "components",
    "framework.callbacks",
    "framework.data",
    "framework.exchange",
    "framework.modules",
    "framework.pretrained",
    "framework.schedules",
    "framework.strategies",
    "framework.studies",
)
SLICES = ("tasks", "papers")  # folders of packages whose classes have short names, too


def main(args: list[str] | None = None) -> None:
    """Runs a command line; returns nothing, so that the status of a success is 0.

    Args:
        args: Its words without the name of the program, by default those of the process.

    Raises:
        SystemExit: With status 2 after a mistake and 130 after Ctrl-C, each said in a sentence.
    """
    words = sys.argv[1:] if args is None else list(args)
    program = Path(sys.argv[0]).stem if Path(sys.argv[0]).stem in NAMES else "lightning"
    label = " ".join([program, *words[:1]]) if words and not words[0].startswith("-") else program
    if warning := foreign_lightning():
        print(f"{program}: warning: {warning}", file=sys.stderr)
    try:
        _run(words, program)
    except KeyboardInterrupt as stop:
        print(f"{label}: stopped by Ctrl-C{stop}", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        told = sentence(error)
        if told is None or os.environ.get("OVERTONE_DEBUG"):
            raise
        print(f"{label}: error: {told}", file=sys.stderr)
        sys.exit(2)


def foreign_lightning() -> str:
    """Says who else installs a script `lightning`, and what to do; "" if nobody does."""
    scripts = metadata.entry_points(group="console_scripts", name="lightning")
    others = sorted({s.dist.name for s in scripts if s.value != TARGET and s.dist is not None})
    if not others:
        return ""
    return (
        f"the command `lightning` is also installed by {' and '.join(others)}, the last one wins; "
        f"use `overtone`, or run `pip uninstall {' '.join(others)}` and install overtone again."
    )


def _run(words: list[str], program: str) -> None:
    if words[:1] == ["recipes"]:
        _list_recipes(words[1:])
        return
    if words == ["--version"]:
        print(program, _version())
        return
    placed = recipes.place_recipes(words)

    # These imports take seconds, for which a list of recipes or a misspelt one need not wait.
    for face in (*FACES, *_slices()):
        import_module(face)
    if words and words[0] in verbs.names():
        verbs.load(words[0])(words[1:], program)
        return
    from framework.console.command import Command

    Command(placed, recipes.name_of(words), program)


def _slices() -> list[str]:
    """Returns the packages of tasks and papers that are there: one can be deleted."""
    paths = Path(__file__).with_name("framework").glob("*/*/__init__.py")
    found = sorted(path.parent.parts[-2:] for path in paths if path.parts[-3] in SLICES)
    return [f"framework.{kind}.{name}" for kind, name in found]


def _version() -> str:
    try:
        return metadata.version("overtone")
    except metadata.PackageNotFoundError:
        return "of a checkout that is not installed"


def _list_recipes(rest: list[str]) -> None:
    if rest:
        raise UserError(f"recipes takes no arguments, got {' '.join(rest)}; drop them.")
    print("\n".join(recipes.listing()))


if __name__ == "__main__":
    main()
