"""Frames: pictures of a game in 84 x 84 gray pixels, of which the last few are seen together."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.mapped import Mapped

Frames = NDArray[np.uint8]
SIDE = 84  # pixels
STACK = 4  # frames that are seen together


def unseen(stack: int) -> Frames:
    """Makes what is seen before the first frame of an episode: black, `[stack, 84, 84]`."""
    return np.zeros((stack, SIDE, SIDE), np.uint8)


def grown(seen: Frames, frame: Frames) -> Frames:
    """Puts a frame `[84, 84]` behind those that were seen `[stack, 84, 84]`; the oldest goes."""
    return np.concatenate([seen[1:], frame[None]])


def shrink(screen: Frames) -> Frames:
    """Averages a screen `[height, width]` over the areas of 84 x 84 pixels, rounded."""
    rows, columns = (areas(pixels, SIDE) for pixels in screen.shape)
    averages = rows @ screen.astype(np.float32) @ columns.T
    return np.rint(averages).astype(np.uint8)


@cache
def areas(pixels: int, parts: int) -> NDArray[np.float32]:
    """Tells how much of each pixel lies in each of equal parts of a line, `[parts, pixels]`.

    Rows add up to 1.
    """
    edges = np.arange(parts + 1) * (pixels / parts)
    begin, end = np.arange(pixels), np.arange(1, pixels + 1)
    overlap = np.minimum(edges[1:, None], end) - np.maximum(edges[:-1, None], begin)
    share = overlap.clip(min=0) * parts / pixels
    return share.astype(np.float32)


class Stacked:
    """Recorded frames that are read together with those before them, each being stored once.

    Before the first frame of an episode it was black, as in the environment.

    Args:
        frames: The frames of all episodes, one after the other, `[N, ...]`.
        first: Where each episode begins, `[episodes]`.
        stack: Frames that are seen together, the newest being the last.
    """

    def __init__(self, frames: Mapped, first: NDArray[np.int64], stack: int) -> None:
        self.frames, self.first, self.stack = frames, first, stack

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Reads what is seen at steps of any shape, `[*index.shape, stack, ...]`."""
        episode = np.searchsorted(self.first, index, side="right") - 1
        step = index[..., None] + np.arange(1 - self.stack, 1)
        dark = step < self.first[episode][..., None]
        read = self.frames[np.where(dark, 0, step)]
        read[dark] = 0
        return read
