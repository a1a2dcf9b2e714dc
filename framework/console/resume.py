"""Checks that a run can load or resume a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from framework.checkpoints import SHARDED, class_name, part_classes, read
from framework.console.checkpoint_path import KEYWORDS


def check(verb: str, path: str, model: Mapping[str, Any]) -> None:
    """Checks that a checkpoint can be used.

    Args:
        verb: What is to be done with it.
        path: The checkpoint, a file or a folder of shards.
        model: Options of the recipe's model.

    Raises:
        ValueError: If it cannot be read, or does not suit the model or the verb.
    """
    checkpoint = read(path)
    _check_parts(path, checkpoint, model)
    if verb == "fit":
        _check_training(path, checkpoint, model)


def _check_parts(path: str, checkpoint: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Checks the classes of stem, backbone and head; options may differ, the recipe's are used."""
    for part, saved in part_classes(checkpoint).items():
        wanted = class_name(model.get(part))
        if wanted and saved != wanted:
            raise ValueError(
                f"The checkpoint {path!r} was made with the {part} {saved}, the recipe says "
                f"{wanted}; use the recipe that was saved beside it, or start a new run from what "
                "fits with `fit --init_from` in place of --ckpt_path."
            )


def _check_training(path: str, checkpoint: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    """Checks that the checkpoint holds the state of a run, and that of the same optimizer."""
    if Path(path).is_file() and "optimizer_states" not in checkpoint:
        raise ValueError(
            f"The checkpoint {path!r} holds a model only, as imported ones do, not the state of a "
            f"run; start a new run from it with --init_from {path}."
        )
    saved = class_name(checkpoint.get("hyper_parameters", {}).get("optimizer"))
    wanted = class_name(model.get("optimizer"))
    if saved and wanted and saved != wanted:
        raise ValueError(
            f"The checkpoint {path!r} holds the moments of {saved}, the recipe trains with "
            f"{wanted}; choose {saved}, or start a new run with --init_from {path}."
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
