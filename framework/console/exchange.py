"""The verbs `import` and `export`: published models become checkpoints, and checkpoints those."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import NoReturn

import torch
import yaml

from framework.callbacks.table import table
from framework.checkpoints import NOTE
from framework.console.mistakes import Mistake
from framework.exchange.exported import FORMATS, export
from framework.exchange.imported import Imported, import_directory

FACTS = ("_class_path", "_instantiator", "spec")  # of a checkpoint, that are no options of it


class _Words(ArgumentParser):
    """Parses the words of a verb, and says in one sentence what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raises what was found wrong as a mistake."""
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ")
        raise Mistake(f"{message}; write `{usage}`.")


def run_import(words: list[str], prog: str) -> None:
    """Runs `import DIRECTORY CHECKPOINT`: writes the checkpoint, and its recipe beside it.

    Args:
        words: What follows `import` on the command line.
        prog: What the command is called.

    Raises:
        Mistake: If the words are wrong or the checkpoint exists already.
        ValueError: If the directory cannot be read, or ours cannot be such a model.
    """
    parser = _Words(
        prog=f"{prog} import",
        description="Makes a checkpoint of a published OLMo, FANformer, GPT-2 or Llama.",
        allow_abbrev=False,
    )
    parser.add_argument("directory", type=Path, help="Where its tensors and configuration lie.")
    parser.add_argument("checkpoint", type=Path, help="The file to write; its recipe beside it.")
    given = parser.parse_args(words)
    target: Path = given.checkpoint
    recipe = target.with_suffix(".yaml")
    for path in (target, recipe):
        if path.exists():
            raise Mistake(f"{path} exists already; choose another name, or remove it.")
    imported = import_directory(given.directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(_recipe(imported, target), encoding="utf-8")
    torch.save({**imported.checkpoint, NOTE: recipe.name}, target)
    print(_summary(imported, given.directory))
    print(f"\nCheckpoint: {target}\nRecipe of its model: {recipe}")


def run_export(words: list[str], prog: str) -> None:
    """Runs `export CHECKPOINT DIRECTORY [--format FORMAT]`.

    Args:
        words: What follows `export` on the command line.
        prog: What the command is called.

    Raises:
        Mistake: If the words are wrong.
        ValueError: If the checkpoint cannot be read, the format has no such model, or the
            directory holds one already.
    """
    parser = _Words(
        prog=f"{prog} export",
        description="Writes a checkpoint as OLMo's and FANformer's own code does.",
        allow_abbrev=False,
    )
    parser.add_argument("checkpoint", type=Path, help="A checkpoint of a LanguageModel.")
    parser.add_argument("directory", type=Path, help="Where to write its files.")
    parser.add_argument(
        "--format",
        choices=sorted(FORMATS),
        help="That of the code (olmo) or of its wrapper for Hugging Face (hf_olmo); if not "
        "given, the one it was imported from, or olmo.",
    )
    given = parser.parse_args(words)
    published = export(given.checkpoint, FORMATS.get(given.format))
    published.write(given.directory)
    print("\n".join(str(given.directory / name) for name in (*published.files, *published.texts)))


def _summary(imported: Imported, directory: Path) -> str:
    plan = imported.plan
    facts = {
        "format": imported.format.name,
        "architecture": plan.architecture,
        "p": "none" if plan.p is None else f"{plan.p:g}",
        "parameters": f"{imported.parameters:,}",
        "dtype": ", ".join(imported.dtypes),
    }
    return table(f"Found in {directory}", [list(facts), list(facts.values())])


def _recipe(imported: Imported, target: Path) -> str:
    """Writes the model as a recipe, which needs data and a trainer besides."""
    options = imported.checkpoint["hyper_parameters"]
    model = {
        "class_path": options["_class_path"],
        "init_args": {name: value for name, value in options.items() if name not in FACTS},
    }
    plan = imported.plan
    return (
        f"# The model of {target.name}, {plan.architecture}; it reads token ids below "
        f"{plan.size}, up to {plan.length} of them.\n"
        "#\n"
        f"#   lightning test --config {target.with_suffix('.yaml').name} --config DATA.yaml "
        f"--ckpt_path {target.name}\n{yaml.safe_dump({'model': model}, sort_keys=False)}"
    )
