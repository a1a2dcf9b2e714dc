"""The verbs of the command line: those of Lightning, `recipes`, and files in folders `verbs`.

A file in a folder `verbs` of any room is a verb: its name is the verb (with `_` behind it where
Python reserves that word), its first sentence is the help, and its function `run(args, program)`
runs it. No such file is imported before its verb is called.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from framework.console.errors import UserError
from framework.interruptions import SENTENCE

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTION = "Trains sequence models with structured outputs"
LIGHTNING = {
    "fit": "Trains a model, and validates it as it goes.",
    "validate": "Evaluates a model on the validation data.",
    "test": "Evaluates a model on the test data.",
    "predict": "Writes the predictions of a model as JSON lines.",
}
LIGHT = (
    "env",
    "runs",
)  # verbs that need no parts of models, and import torch themselves if at all
LIGHT_WITHOUT = {"report": "--calibration"}  # others, unless they have this option
LISTING = ("list", "schema")  # verbs that need them all, but not for their help
WITHOUT_CHECKPOINT = (
    *("recipes", "import", "prepare", "study", "compare", "plan", "bench"),
    *(*LIGHT, *LISTING),
)
RECIPES = {"recipes": "Lists the recipes, overlays and studies that are shipped."}

Run = Callable[[list[str], str], None]
"""Runs a verb with the arguments that follow it, under the name of the program."""


def names() -> list[str]:
    """Returns the verbs that are files, sorted."""
    return sorted(_files())


def sentences() -> dict[str, str]:
    """Returns the first sentence of each file that is a verb, by its name; imports none."""
    return {name: _first_sentence(path) for name, path in sorted(_files().items())}


def reads_checkpoint(name: str) -> bool:
    """Whether a verb takes a model or data from a checkpoint."""
    return name not in WITHOUT_CHECKPOINT


def needs_parts(name: str, words: Sequence[str]) -> bool:
    """Whether the parts of models must be imported, which takes seconds, to run a verb.

    Args:
        name: The verb.
        words: What follows it.
    """
    if name in LIGHT_WITHOUT:
        return any(word.partition("=")[0] == LIGHT_WITHOUT[name] for word in words)
    return name not in LIGHT and not (name in LISTING and {"-h", "--help"} & {*words})


def load(name: str) -> Run:
    """Imports the function that runs a verb.

    Args:
        name: One of `names()`.
    """
    module = ".".join(_files()[name].relative_to(ROOT).with_suffix("").parts)
    run: Run = import_module(module).run
    return run


def help_text(program: str) -> str:
    """Lists all verbs with a sentence each.

    Args:
        program: The name of the command.
    """
    groups = {"Train and evaluate": LIGHTNING, "Everything else": {**RECIPES, **sentences()}}
    width = max(len(name) for verbs in groups.values() for name in verbs)
    lines = [f"usage: {program} COMMAND [OPTIONS]", "", f"{DESCRIPTION}."]
    for title, verbs in groups.items():
        lines += ["", f"{title}:", *(f"  {name:<{width}}  {text}" for name, text in verbs.items())]
    lines += ["", f"`{program} COMMAND --help` lists the options of a command.", SENTENCE]
    return "\n".join(lines)


def unknown(name: str = "") -> UserError:
    """Returns the error for a command that does not exist, with the nearest one or all.

    Args:
        name: What was given; "" if nothing was.
    """
    every = [*LIGHTNING, *RECIPES, *names()]
    close = get_close_matches(name, every, n=1)
    hint = f"did you mean {close[0]}?" if close else f"choose from {', '.join(every)}"
    problem = f"there is no command '{name}'" if name else "a command is missing"
    return UserError(f"{problem}; {hint}")


def _files() -> dict[str, Path]:
    found = sorted((ROOT / "framework").glob("**/verbs/*.py"))
    return {path.stem.removesuffix("_"): path for path in found if path.stem != "__init__"}


def _first_sentence(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split())
