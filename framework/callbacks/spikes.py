"""A guard against spikes of the loss: an update that stands out is skipped, or ends the run."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Mapping
from statistics import median
from typing import Any, Literal

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from framework.interruptions import Diverged


class SpikeGuard(Callback):
    """Skips the updates of steps whose loss or gradients stand out, or stops before them.

    A step stands out if the norm of its gradients is more than `norm` times the median of the
    last ones, or its loss is above their median by more than `loss` times their median distance
    from it (nats of densities may be negative, so that a multiple of the loss says nothing), or
    the norm is not finite. A skipped update changes neither parameters nor moments; data and
    learning rate go on, and the step is not remembered. All processes decide alike, and what is
    remembered is in the checkpoint, so that a resumed run decides as one that was not
    interrupted.

    Args:
        action: Whether to skip the update or to stop the run.
        norm: Factor of the median norm; null does not look at norms.
        loss: Factor of the median distance of losses; null does not look at losses.
        window: Steps that are remembered; nothing stands out before that many were taken.
        most: Updates that may be skipped one after the other; with the next the run stops, for
            then the level has changed.

    Raises:
        ValueError: If a factor is not above 1, `window` or `most` is not positive, or there is
            nothing to look at.
    """

    def __init__(
        self,
        action: Literal["skip", "stop"] = "skip",
        norm: float | None = 10.0,
        loss: float | None = 20.0,
        window: int = 100,
        most: int = 10,
    ) -> None:
        for name, factor in {"norm": norm, "loss": loss}.items():
            if factor is not None and not factor > 1:
                raise ValueError(f"SpikeGuard: {name}={factor} is not above 1; use 10, or null.")
        for name, count in {"window": window, "most": most}.items():
            if count < 1:
                raise ValueError(f"SpikeGuard: {name}={count} is too small; use at least 1.")
        if norm is None and loss is None:
            raise ValueError("SpikeGuard: norm and loss are null; give a factor for one of them.")
        self.action, self.norm, self.loss, self.most = action, norm, loss, most
        self._norms, self._losses = deque[float](maxlen=window), deque[float](maxlen=window)
        self._skipped = self._in_a_row = 0

    def on_gradients(
        self, trainer: Trainer, pl_module: LightningModule, loss: float, norm: Tensor
    ) -> None:
        """Remembers the step, or drops its gradients.

        Raises:
            Diverged: If the run is to stop.
        """
        size = norm.item()
        if not math.isfinite(size) and getattr(trainer.precision_plugin, "scaler", None):
            return  # float16, whose scale is being found: the scaler skips such steps itself
        reason = self._reason(loss, size)
        spiked = not trainer.strategy.reduce_boolean_decision(not reason)
        if not spiked:
            self._norms.append(size)
            self._losses.append(loss)
            self._in_a_row = 0
            return
        where = f"step {trainer.global_step}: {reason or 'another process saw a spike'}"
        if self.action == "stop" or self._in_a_row == self.most:
            others = f", after {self.most} skipped before it" if self._in_a_row else ""
            raise Diverged(
                f"SpikeGuard stops before the update of {where}{others}; lower the learning rate, "
                "clip gradients (trainer.gradient_clip_val), look at the data of that step, or "
                "raise the factors of SpikeGuard, and go on from the last checkpoint."
            )
        for parameter in pl_module.parameters():
            parameter.grad = None
        self._skipped, self._in_a_row = self._skipped + 1, self._in_a_row + 1
        if trainer.is_global_zero:
            print(f"The update is skipped at {where}.", file=sys.stderr, flush=True)
        for logger in trainer.loggers:
            logger.log_metrics({"skipped_updates": self._skipped}, step=trainer.global_step)

    def state_dict(self) -> dict[str, Any]:
        """Returns what is remembered, as plain data."""
        return {
            "norms": list(self._norms),
            "losses": list(self._losses),
            "skipped": self._skipped,
            "in_a_row": self._in_a_row,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on with what is remembered in a checkpoint."""
        self._norms.extend(state_dict["norms"])
        self._losses.extend(state_dict["losses"])
        self._skipped, self._in_a_row = state_dict["skipped"], state_dict["in_a_row"]

    def _reason(self, loss: float, norm: float) -> str:
        """Returns why a step stands out, "" if it does not."""
        if not math.isfinite(norm):
            return f"the norm of the gradients is {norm}"
        if len(self._norms) < (self._norms.maxlen or 0):
            return ""
        middle = median(self._norms)
        if self.norm is not None and norm > self.norm * middle:
            return (
                f"the norm of the gradients is {norm:.4g}, more than {self.norm:g} times the "
                f"median {middle:.4g} of the last {len(self._norms)} steps"
            )
        middle = median(self._losses)
        spread = median(abs(value - middle) for value in self._losses)
        if self.loss is not None and loss - middle > self.loss * spread:
            return (
                f"the loss is {loss:.4g}, above the median {middle:.4g} of the last "
                f"{len(self._losses)} steps by more than {self.loss:g} times their median "
                f"distance {spread:.4g}"
            )
        return ""
