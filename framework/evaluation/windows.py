"""MovingWindow: embeds a window that moves on step by step, each step once or twice."""

from __future__ import annotations

import torch
from torch import Tensor

from components.data import TrajectoryBatch
from components.interfaces import Embedded, Stem


class MovingWindow:
    """Embeds what is seen and done so far, at the end of the window only.

    States of older steps are kept, which matters where an observation is an image: of a window of
    30 steps two are embedded, the new one and the one before, whose action is known by now.

    Args:
        stem: Embeds a window; with an unknown `reach` it is given the whole window every time.
    """

    def __init__(self, stem: Stem) -> None:
        self.stem = stem
        self.kept: Embedded | None = None

    def __call__(self, window: TrajectoryBatch) -> Embedded:
        """Embeds a window `[B, T]`, which has moved on by one step since the last call.

        Episodes may have left it; then all of it is embedded again.
        """
        reach, (size, length) = self.stem.reach, window.mask.shape
        gone = self.kept is None or len(self.kept.states) != size
        if self.kept is None or gone or reach is None or length <= reach + 1:
            self.kept = self.stem(window)
            return self.kept
        end = self.stem(TrajectoryBatch(*(field[:, -reach - 1 :] for field in window)))
        step = self.kept.states.shape[1] // length  # states of one
        states = _moved(self.kept.states, end.states, step)
        mask = None
        if self.kept.mask is not None and end.mask is not None:
            mask = _moved(self.kept.mask, end.mask, step)
        self.kept = Embedded(states, mask)
        return self.kept


def _moved(kept: Tensor, end: Tensor, step: int) -> Tensor:
    """Drops the oldest step and those that were embedded again, `[B, S, ...]`."""
    return torch.cat([kept[:, step : kept.shape[1] + step - end.shape[1]], end], 1)
