"""Which weights a run starts with: `--init_from` as `Weights`, and none of those on resuming."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from framework.console.errors import UserError
from framework.importing import located

WEIGHTS = "framework.exchange.Weights"  # the initialization that copies what fits


def start_from(model: Namespace, path: str, parts: str | None = None) -> None:
    """Lets a model start from another one; its own initialization sets what does not fit.

    Args:
        model: The recipe's class and options of the model; changed in place.
        path: A checkpoint, or the directory of a published model.
        parts: Names of the parts that are copied, separated by commas; None for all.

    Raises:
        UserError: If the path does not exist, or the model has no initialization.
    """
    if not Path(path).expanduser().exists():
        raise UserError(f"--init_from {path}: there is no such file or directory; check the path.")
    if "initialization" not in model.init_args:
        raise UserError(
            f"--init_from: {model.class_path} has no option `initialization`; pass it on to "
            "PredictiveModule."
        )
    fresh = _fresh(model.init_args.initialization)
    chosen_parts = None if parts is None else parts.split(",")
    options = Namespace({"path": path, "fresh": fresh, "parts": chosen_parts})  # type: ignore[no-untyped-call]
    chosen = {"class_path": WEIGHTS, "init_args": options}
    model.init_args.initialization = Namespace(chosen)  # type: ignore[no-untyped-call]


def start_from_checkpoint(model: Namespace) -> None:
    """Keeps a model from reading other weights where those of a checkpoint are loaded anyway."""
    if model.init_args.get("initialization") is not None:
        model.init_args.initialization = _fresh(model.init_args.initialization)


def source(initialization: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], bool]:
    """Reads what the model that weights are from holds for data.

    Args:
        initialization: The recipe's class and options of the initialization.

    Returns:
        What the model holds, empty where none is named; and whether the data must agree with it.

    Raises:
        ValueError: If it cannot be read.
    """
    if initialization is None or not _are_weights(initialization["class_path"]):
        return {}, False
    options = {**initialization.get("init_args", {}), "fresh": None}
    weights: Any = located(WEIGHTS)
    chosen = weights(**options)
    return chosen.source(), chosen.reads_data


def tell_of_frozen(model: Namespace) -> None:
    """Says on stderr that an adaptation freezes what was never trained."""
    initialization = model.init_args.get("initialization")
    if model.init_args.get("adaptation") is None or (
        initialization is not None and _are_weights(initialization.class_path)
    ):
        return
    print(
        "model.adaptation freezes parameters at their initial values, as the run starts from no "
        "trained model; name one with --init_from.",
        file=sys.stderr,
    )


def _are_weights(class_path: str) -> bool:
    return located(class_path) is located(WEIGHTS)


def _fresh(initialization: Namespace | None) -> Namespace | None:
    """Returns an initialization without the weights that it reads from a file."""
    if initialization is None or not _are_weights(initialization.class_path):
        return initialization
    fresh: Namespace | None = initialization.init_args.get("fresh")
    return fresh
