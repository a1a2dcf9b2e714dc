"""Checks of what callbacks wait for: metrics that are logged, and time that is left."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, Timer

VALIDATION = "val"  # with which the names of metrics begin that validation logs, all of them


def check_monitors(trainer: Trainer, logged: Collection[str]) -> None:
    """Checks the metrics that callbacks monitor; to be called after a validation.

    After the validation that precedes training only misspelt names are sure to be wrong: a
    callback may log more later.

    Args:
        trainer: The trainer, with its callbacks.
        logged: Names of the metrics that are logged besides those that the trainer knows by now.

    Raises:
        ValueError: If nobody logs what a callback monitors.
    """
    names = sorted({*trainer.callback_metrics, *logged})
    for callback, monitor in _monitored(trainer):
        meant = monitor.replace("_", "/", 1)
        early = trainer.sanity_checking and meant not in names
        if early or monitor in (*names, "epoch", "step"):
            continue
        close = [meant] if meant in names else get_close_matches(monitor, names, n=1)
        hint = f"did you mean {close[0]}? There are" if close else "there are"
        raise ValueError(
            f"{type(callback).__name__} monitors {monitor!r}, which is not logged; {hint} "
            f"{', '.join(names)}."
        )


def check_validation(trainer: Trainer) -> None:
    """Checks that there is validation, if a callback monitors it; checkpoints do without.

    Raises:
        ValueError: If there is none.
    """
    if trainer.enable_validation:
        return
    for callback, monitor in _monitored(trainer):
        if monitor.startswith(VALIDATION) and not isinstance(callback, Checkpoint):
            raise ValueError(
                f"{type(callback).__name__} monitors {monitor!r}, but the run validates nothing "
                f"(trainer.limit_val_batches={trainer.limit_val_batches}); drop one of them."
            )


def check_time(trainer: Any) -> None:
    """Checks that a run that goes on has time left; Lightning would end it as if it were done.

    Raises:
        ValueError: If `trainer.max_time` was over before.
    """
    for timer in trainer.callbacks:
        left = timer.time_remaining() if isinstance(timer, Timer) else None
        if left is not None and left <= 0:
            raise ValueError(
                f"trainer.max_time is over: the {timer.time_elapsed():.0f} s of training before "
                "the checkpoint count, too; give more, or drop it."
            )


def _monitored(trainer: Any) -> list[tuple[Callback, str]]:
    """Returns callbacks with what they monitor, but those that tolerate a missing metric."""
    return [
        (callback, callback.monitor)
        for callback in trainer.callbacks
        if isinstance(getattr(callback, "monitor", None), str)
        and getattr(callback, "strict", True)
        and getattr(callback, "save_top_k", 1)
    ]
