"""Which weights a run starts with: `--init_from` as `Weights`, and none of those on resuming."""

from __future__ import annotations

from pathlib import Path

from jsonargparse import Namespace

from framework.console.errors import UserError
from framework.importing import located

WEIGHTS = "framework.exchange.Weights"  # the initialization that copies what fits


def start_from(model: Namespace, path: str) -> None:
    """Lets a model start from another one; its own initialization sets what does not fit.

    Args:
        model: The recipe's class and options of the model; changed in place.
        path: A checkpoint, or the directory of a published model.

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
    options = Namespace({"path": path, "fresh": fresh})  # type: ignore[no-untyped-call]
    chosen = {"class_path": WEIGHTS, "init_args": options}
    model.init_args.initialization = Namespace(chosen)  # type: ignore[no-untyped-call]


def start_from_checkpoint(model: Namespace) -> None:
    """Keeps a model from reading other weights where those of a checkpoint are loaded anyway."""
    if model.init_args.get("initialization") is not None:
        model.init_args.initialization = _fresh(model.init_args.initialization)


def _fresh(initialization: Namespace | None) -> Namespace | None:
    """Returns an initialization without the weights that it reads from a file."""
    if initialization is None or located(initialization.class_path) is not located(WEIGHTS):
        return initialization
    fresh: Namespace | None = initialization.init_args.get("fresh")
    return fresh
