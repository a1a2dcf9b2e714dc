"""Makes a checkpoint of a published OLMo, FANformer, GPT-2 or Llama."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from framework.callbacks.table import table
from framework.checkpoints import NOTE
from framework.console.errors import UserError
from framework.console.words import VerbParser
from framework.exchange.conversion import Imported, import_directory

FACTS = ("_class_path", "_instantiator", "spec")  # of a checkpoint, that are no options of it


def run(words: list[str], prog: str) -> None:
    """Runs `import DIRECTORY CHECKPOINT`: writes the checkpoint, and its recipe beside it.

    Args:
        words: What follows `import` on the command line.
        prog: What the command is called.

    Raises:
        UserError: If the words are wrong or the checkpoint exists already.
        ValueError: If the directory cannot be read, or ours cannot be such a model.
    """
    parser = VerbParser(
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
            raise UserError(f"{path} exists already; choose another name, or remove it.")
    imported = import_directory(given.directory)
    target.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(_recipe(imported, target), encoding="utf-8")
    torch.save({**imported.checkpoint, NOTE: recipe.name}, target)
    print(_summary(imported, given.directory))
    print(f"\nCheckpoint: {target}\nRecipe of its model: {recipe}")


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
