"""The device that a verb computes on, as `--accelerator` names it."""

from __future__ import annotations

from lightning.fabric import Fabric

from framework.console.errors import UserError


def fabric_on(accelerator: str, devices: int = 1) -> Fabric:
    """Returns what places models and starts processes on an accelerator.

    Args:
        accelerator: Its name, as of the trainer.
        devices: How many processes share the work.

    Raises:
        UserError: If this machine has none of that name.
    """
    try:
        return Fabric(accelerator=accelerator, devices=devices)
    except RuntimeError as error:  # Lightning's, where a device that it knows is not there
        raise UserError(
            f"--accelerator {accelerator}: this machine has none that torch can use; choose auto "
            "or cpu."
        ) from error
