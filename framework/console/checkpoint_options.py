"""What verbs share that ask a checkpoint something: its options, and the data to ask it with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from framework.checkpoints import recipe_of
from framework.console.errors import UserError
from framework.console.parsing import explain
from framework.data.module import PredictiveData
from framework.modules.base import PredictiveModule

HELP = frozenset({"-h", "--help"})


def leading(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Parts words into those before the first option, and the rest.

    Example:
        >>> leading(["a.ckpt", "b.ckpt", "--split", "val"])
        (['a.ckpt', 'b.ckpt'], ['--split', 'val'])
    """
    count = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    return list(words[:count]), list(words[count:])


def asking(prog: str, description: str) -> ArgumentParser:
    """Makes a parser with the options that all such verbs have.

    Args:
        prog: The command with its verb.
        description: What it does, one sentence or two.
    """
    parser = ArgumentParser(
        prog=prog,
        description=description,
        exit_on_error=False,
        allow_abbrev=False,
    )
    parser.add_subclass_arguments(PredictiveData, "data", required=True)
    parser.add_argument(
        "--sequences", type=int | None, default=None, help="How many examples to read; null: all."
    )
    parser.add_argument("--batch_size", type=int, default=32, help="Of one process.")
    parser.add_argument("--accelerator", type=str, default="auto", help="As of the trainer.")
    parser.add_argument("--devices", type=int, default=1, help="Processes to share the work.")
    parser.add_argument(
        "--folder", type=str | None, default=None, help="For files; null: beside the checkpoint."
    )
    return parser


def parse(parser: ArgumentParser, path: str | None, words: Sequence[str]) -> Any:
    """Parses options, with the data that a checkpoint was trained on if none are named.

    Args:
        parser: What `asking` made, and perhaps more options.
        path: The checkpoint; None if help is wanted.
        words: The options.

    Returns:
        Their values by name; classes are built.

    Raises:
        UserError: If an option is wrong, or nothing says which data to read.
    """
    try:
        config = parser.parse_args([*_data_words(path, words), *words])
    except ArgumentError as error:
        raise UserError(explain(error.message, parser)) from error
    return parser.instantiate_classes(config)


def check_data(path: str, module: PredictiveModule, data: PredictiveData) -> None:
    """Checks that data are of the kind that a checkpoint predicts.

    Raises:
        ValueError: If they are not.
    """
    if (type(module.spec), module.spec.support) != (type(data.spec), data.spec.support):
        raise ValueError(
            f"The checkpoint {path!r} predicts {module.spec.support} of a "
            f"{type(module.spec).__name__}, the data hold {data.spec.support} of a "
            f"{type(data.spec).__name__}; choose the data that it was trained on."
        )


def beside(path: str, verb: str) -> Path:
    """Returns the folder for what a verb writes about a checkpoint, if none is named."""
    return Path(path).parent / f"{Path(path).stem}-{verb}"


def _data_words(path: str | None, words: Sequence[str]) -> list[str]:
    """Returns the data of the recipe of the checkpoint, unless others are named."""
    named = any(word == "--data" or word.startswith("--data=") for word in words)
    if path is None or named or HELP & set(words):
        return []
    recipe = recipe_of(path)
    data = yaml.safe_load(recipe.read_text(encoding="utf-8")).get("data")
    if not data:
        raise UserError(
            f"The recipe {recipe} of the checkpoint {path!r} names no data; say with --data "
            "which to read."
        )
    return ["--data", json.dumps(data)]
