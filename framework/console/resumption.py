"""What a checkpoint says about the recipe that made it, and whether it is that of this run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.checkpoints import read

PARTS = ("stem", "backbone", "head")
KEYWORDS = (
    "best",
    "last",
    "hpc",
    "registry",
)  # with which Lightning looks for a checkpoint itself


def check_parts(path: str, model: Mapping[str, Any]) -> None:
    """Checks that the parts of a recipe are those that a checkpoint was made with.

    The recipe rules: options, such as a learning rate, may differ as long as the weights fit.

    Args:
        path: The checkpoint, a file or a folder of shards.
        model: Options of the recipe's model.

    Raises:
        ValueError: If the checkpoint cannot be read, or a part is of another class.
    """
    saved = read(path).get("hyper_parameters", {})
    for part in PARTS:
        made, asked = _class_name(saved.get(part)), _class_name(model.get(part))
        if made and asked and made != asked:
            raise ValueError(
                f"The checkpoint {path!r} was made with the {part} {made}, the recipe says "
                f"{asked}; use the recipe that was saved beside it, or start without --ckpt_path."
            )


def check_training(path: str) -> None:
    """Checks that a run can go on from a checkpoint file.

    Raises:
        ValueError: If it cannot be read, or holds nothing but a model.
    """
    if Path(path).is_file() and "optimizer_states" not in read(path):
        raise ValueError(
            f"The checkpoint {path!r} holds a model only, as those that were imported do, and no "
            "run to go on with; start one from it with --model.initialization Weights "
            f"--model.initialization.path {path}."
        )


def _class_name(part: Any) -> str:
    return str(part["class_path"]).rpartition(".")[2] if isinstance(part, Mapping) else ""
