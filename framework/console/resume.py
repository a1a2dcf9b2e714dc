"""Checks that a run can load or resume a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import isclass
from pathlib import Path
from typing import Any

from lightning.pytorch.strategies import Strategy, StrategyRegistry

from framework.checkpoints import class_name, part_classes, read
from framework.console import initial_weights
from framework.console.checkpoint_path import KEYWORDS
from framework.importing import located
from framework.strategies import FullyShardedStrategy


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


def check_folder(path: str, trainer: Mapping[str, Any]) -> None:
    """Checks that a folder of shards is read as data: Lightning's own strategies run code in it.

    Args:
        path: The checkpoint.
        trainer: What the recipe says of the trainer.

    Raises:
        ValueError: If it is a folder, and would be read otherwise.
    """
    strategy = trainer["strategy"]
    known = isinstance(strategy, str) and strategy in StrategyRegistry
    named = strategy["class_path"] if isinstance(strategy, Mapping) else ""
    kind = StrategyRegistry[strategy]["strategy"] if known else Strategy  # auto: one that is plain
    kind = located(named) if named else kind
    has_own_files = trainer["enable_checkpointing"] is not False
    if not Path(path).is_dir() or _reads_folders(kind, has_own_files):
        return
    raise ValueError(
        f"The checkpoint {path!r} is a folder of shards, which a run with "
        f"strategy={named or strategy} and enable_checkpointing={trainer['enable_checkpointing']} "
        f"cannot read; add --config strategy/fsdp2, or use what `overtone consolidate {path} "
        "MODEL.ckpt` writes."
    )


def _reads_folders(strategy: Any, has_own_files: bool) -> bool:
    """Whether a strategy reads shards as data, itself or through `DurableCheckpointIO`."""
    if isclass(strategy) and issubclass(strategy, FullyShardedStrategy):
        return True
    loads = getattr(strategy, "load_checkpoint", None)
    return has_own_files and loads is Strategy.load_checkpoint


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


def origin(path: str | None, model: Mapping[str, Any]) -> tuple[Mapping[str, Any], bool]:
    """Reads the checkpoint that the parameters of a run come from.

    Args:
        path: The checkpoint to resume or to evaluate, if any.
        model: Options of the recipe's model, which may start from one (`initialization`).

    Returns:
        The checkpoint, empty if there is none, and whether the data must agree with it.

    Raises:
        ValueError: If the checkpoint cannot be read.
    """
    if path:
        return ({}, False) if path in KEYWORDS else (read(path), True)
    return initial_weights.source(model.get("initialization"))
