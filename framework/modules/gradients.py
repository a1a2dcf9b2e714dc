"""The gradients of a step as callbacks see them: those of means, before they are clipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer


@runtime_checkable
class WatchesGradients(Protocol):
    """A callback that looks at the gradients of each step, and may drop them."""

    def on_gradients(
        self, trainer: Trainer, pl_module: LightningModule, loss: float, norm: Tensor
    ) -> None:
        """Is called by all processes, with the same numbers.

        Args:
            trainer: The trainer.
            pl_module: The module; without gradients, the optimizer changes nothing.
            loss: The objective of the step, over all processes.
            norm: The norm of all gradients, `[]`; reading its number waits for the device.
        """


def watched(
    trainer: Trainer, module: LightningModule, optimizer: Optimizer, loss: float
) -> Tensor | None:
    """Shows the gradients of a step to those who watch them.

    Returns:
        Their norm, None if nobody watches.

    Raises:
        ValueError: If the strategy divides parameters in a way that hides the norm.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]  # set from outside
    watching = [callback for callback in callbacks if isinstance(callback, WatchesGradients)]
    if not watching:
        return None
    if isinstance(trainer.strategy, FSDPStrategy):
        raise ValueError(
            f"{type(watching[0]).__name__} reads the norm of all gradients, which FSDPStrategy "
            "hides; use --config strategy/fsdp2, or drop the callback."
        )
    norm = norm_of(optimizer)
    for callback in watching:
        callback.on_gradients(trainer, module, loss, norm)
    return norm


def norm_of(optimizer: Optimizer) -> Tensor:
    """Returns the norm of all gradients, of sharded ones too; collective."""
    norm = get_total_norm([p.grad for p in parameters_of(optimizer) if p.grad is not None])
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def parameters_of(optimizer: Optimizer) -> Iterator[Tensor]:
    """Yields the parameters of an optimizer in its order, in which Lightning clips them, too."""
    for group in optimizer.param_groups:
        yield from group["params"]
