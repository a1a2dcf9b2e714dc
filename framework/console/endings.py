"""What a run that did not end by itself was ended by decides the status of the process."""

from __future__ import annotations

import os
import sys
from typing import Any

from lightning.pytorch import Trainer

from framework.callbacks import Interruption
from framework.console.errors import RunFailure, user_message
from framework.interruptions import Diverged


def end(trainer: Trainer, error: Exception) -> None:
    """Ends the process if it is explained what ended the run; else returns, and the error goes on.

    Args:
        trainer: The trainer of the run.
        error: What it raised.

    Raises:
        SystemExit: With the status of a run that was told to stop, or of one that lost a rank.
        RunFailure: If it was training already, and there is a message for the user.
    """
    for callback in interruptions(trainer):
        if callback.status is not None and not os.environ.get("OVERTONE_DEBUG"):
            sys.exit(callback.status)
        is_failure = callback.has_trained and not isinstance(
            error, Diverged
        )  # which states its own
        if is_failure and (message := user_message(error)):
            raise RunFailure(message) from error


def interruptions(trainer: Trainer) -> list[Interruption]:
    """Returns what handles interruptions of a run; of several, the last one does."""
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # set from outside
    return [callback for callback in callbacks if isinstance(callback, Interruption)]
