"""WindowReader: hidden states of windows that move on by one step at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from components.data import TrajectoryBatch
from components.interfaces import Backbone, Cache, Embedded, Stem


class WindowReader:
    """Computes the hidden state that predicts the last action of a window, step by step.

    It equals that of reading the window alone. What is known from the call before is used again:

    * Steps that stay in the window are not embedded again, which matters where an observation is
      an image: of a window of 30 steps two are embedded, the new one and the one before, whose
      action is now known.
    * As long as a window only grows, its new positions are read alone, and the others are in the
      cache of the backbone. Once it loses its first steps it is read again, as deeper states of
      the others depend on them, and all positions change that the backbone counts in the window.

    Args:
        stem: Embeds a window; if its `reach` is unknown, all is embedded and read every time.
        backbone: Reads the states.
        length: Longest window in time steps.
    """

    def __init__(self, stem: Stem, backbone: Backbone, length: int) -> None:
        self.stem, self.backbone, self.length = stem, backbone, length
        self.steps = 0  # of the window before
        self.states: Tensor | None = None  # its states, [B, S, D]
        self.unread = 0  # states of a step behind the one that predicts
        self.cache: Cache | None = None  # of the states up to the one that predicted

    def __call__(self, window: TrajectoryBatch) -> Tensor:
        """Reads a window `[B, T]` without padding, up to its last observation: `[B, D]`.

        Since the call before it has gained one step, and may have lost its first ones. If it holds
        another number of episodes, it is taken for a new one.
        """
        reach, (size, steps) = self.stem.reach, window.mask.shape
        hidden: Tensor
        if reach is None:
            hidden = self.backbone(self.stem(window)._replace(mask=None))
            return self.stem.readout(hidden)[:, -1]
        if self.states is None or len(self.states) != size:
            self.states, self.steps = self.stem(window).states, 0
            self.unread = self._unread(self.states.shape[1])
        else:
            self.states = self._embed(self.states, window, reach)
        if self.steps == 0 or steps != self.steps + 1:  # not that of before with one more step
            room = self.states.shape[1] // steps * self.length
            self.cache = self.backbone.new_cache(size, room) if steps < self.length else None
        self.steps = steps
        known = 0 if self.cache is None else self.cache.length
        new = self.states[:, known : self.states.shape[1] - self.unread]
        hidden = self.backbone(Embedded(new), self.cache)
        return hidden[:, -1]

    def _embed(self, states: Tensor, window: TrajectoryBatch, reach: int) -> Tensor:
        """Returns the states of a window, `[B, S, D]`, of which the last steps are embedded."""
        new, steps = reach + 1, window.mask.shape[1]
        end: Tensor = self.stem(TrajectoryBatch(*(field[:, -new:] for field in window))).states
        if steps <= new:
            return end
        each = end.shape[1] // new  # states of one step
        lost = self.steps + 1 - steps
        return torch.cat([states[:, each * lost : each * (lost + steps - new)], end], 1)

    def _unread(self, size: int) -> int:
        """Returns how many of `size` states are behind the last one that predicts."""
        numbers = torch.arange(size).view(1, size, 1)
        return size - 1 - int(self.stem.readout(numbers)[0, -1])
