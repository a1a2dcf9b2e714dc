"""Checks that a run can load or resume a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.checkpoints import SHARDED, read

PARTS = ("stem", "backbone", "head")
KEYWORDS = ("best", "last", "hpc", "registry")  # for which Lightning finds the checkpoint itself


def check_parts(path: str, model: Mapping[str, Any]) -> None:
    """Checks that stem, backbone and head of a recipe are of the classes in a checkpoint.

    Their options may differ, as may those of training: those of the recipe are used.

    Args:
        path: The checkpoint, a file or a folder of shards.
        model: Options of the recipe's model.

    Raises:
        ValueError: If the checkpoint cannot be read, or a part is of another class.
    """
    saved = read(path).get("hyper_parameters", {})
    for part in PARTS:
        saved_class, wanted = _class_name(saved.get(part)), _class_name(model.get(part))
        if saved_class and wanted and saved_class != wanted:
            raise ValueError(
                f"The checkpoint {path!r} was made with the {part} {saved_class}, the recipe "
                f"says {wanted}; use the recipe that was saved beside it, or start without "
                "--ckpt_path."
            )


def check_training(path: str) -> None:
    """Checks that training can resume from a checkpoint.

    Raises:
        ValueError: If it cannot be read, or holds no state of a run.
    """
    if Path(path).is_file() and "optimizer_states" not in read(path):
        raise ValueError(
            f"The checkpoint {path!r} holds a model only, as imported ones do, not the state of a "
            "run; start a new run from it with --model.initialization Weights "
            f"--model.initialization.path {path}."
        )


def origin(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Reads the checkpoint that the parameters of a run come from; empty if there is none.

    That is the one to resume, to evaluate, or to start from (`model.initialization`).

    Args:
        config: What the command line says.

    Raises:
        ValueError: If the checkpoint to resume or to evaluate cannot be read.
    """
    path = config.get("ckpt_path")
    if path and path not in KEYWORDS:
        return read(path)
    model = (config.get("model") or {}).get("init_args") or {}
    initialization = model.get("initialization") or {}
    start = (initialization.get("init_args") or {}).get("path")
    if path or not start or not (Path(start).is_file() or (Path(start) / SHARDED).is_file()):
        return {}
    return read(start)


def _class_name(part: Any) -> str:
    return str(part["class_path"]).rpartition(".")[2] if isinstance(part, Mapping) else ""
