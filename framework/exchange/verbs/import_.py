"""Makes a checkpoint of a published language model."""

from __future__ import annotations

from pathlib import Path

import yaml

from components.data import TokenSpec
from framework.checkpoint_files import save
from framework.checkpoints import NOTE
from framework.console.outputs import require_new, written
from framework.console.parsing import VerbParser
from framework.data.tokens.text import TOKENIZER
from framework.exchange.conversion import FORMATS, Imported, import_directory
from framework.tables import table
from framework.whole_files import write_text

CHECKPOINT = ".ckpt"
INTERNAL = ("_class_path", "_instantiator", "spec")  # hyper-parameters that are no options


def run(args: list[str], prog: str) -> None:
    """Runs `import DIRECTORY CHECKPOINT`: writes the checkpoint, and its recipe beside it.

    Args:
        args: What follows `import` on the command line.
        prog: Name of the program.

    Raises:
        UserError: If an argument is wrong, or a file exists already or cannot be written.
        ValueError: If the directory cannot be read, or no model of ours computes the same.
    """
    parser = VerbParser(
        prog=f"{prog} import",
        description=f"Makes a checkpoint of a published model: {', '.join(FORMATS)}.",
    )
    parser.add_argument("directory", type=Path, help="Folder of its tensors and configuration.")
    parser.add_argument(
        "checkpoint", type=Path, help="File MODEL.ckpt to write; its recipe goes beside it."
    )
    parser.add_argument(
        "--end",
        type=str | None,
        help="The token at which texts end, such as '</s>'; null: those that the files beside the "
        "model name. Exports keep what those files say.",
    )
    given = parser.parse(args)
    target: Path = given.checkpoint
    require_new(target, (CHECKPOINT,))
    require_new(recipe := target.with_suffix(".yaml"))
    imported = import_directory(given.directory, given.end)
    with written(target):
        _write(imported, target, recipe)
    print(_summary(imported, given.directory))
    print(f"\nCheckpoint: {target}\nRecipe of its model: {recipe}")
    if TOKENIZER in imported.checkpoint:
        print("The checkpoint holds the tokenizer of the model.")


def _write(imported: Imported, target: Path, recipe: Path) -> None:
    """Writes both files, or none: a rerun would find the one that is there already."""
    save({**imported.checkpoint, NOTE: recipe.name}, target)
    try:
        write_text(recipe, _recipe(imported, target))
    except BaseException:
        target.unlink()
        raise


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
    """Returns the recipe of the model, to which data and trainer are to be added."""
    options = imported.checkpoint["hyper_parameters"]
    model = {
        "class_path": options["_class_path"],
        "init_args": {name: value for name, value in options.items() if name not in INTERNAL},
    }
    plan, spec = imported.plan, imported.plan.spec
    reads = (
        f"token ids below {spec.support.size}, up to {spec.length} of them"
        if isinstance(spec, TokenSpec)
        else f"{spec.context} values and predicts {spec.horizon}"
    )
    return (
        f"# The model of {target.name}, {plan.architecture}; it reads {reads}.\n"
        "#\n"
        f"#   lightning test --config {target.with_suffix('.yaml').name} --config DATA.yaml "
        f"--ckpt_path {target.name}\n{yaml.safe_dump({'model': model}, sort_keys=False)}"
    )
