"""Frames: pictures of a game in 84 x 84 gray pixels, of which an observation stacks a few."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.mapped import MappedArray

Frames = NDArray[np.uint8]
SIDE = 84  # pixels
STACK = 4  # frames in one observation
DIGITS = 6  # of an average, so that rounding errors do not decide how a half is rounded


def unseen(stack: int) -> Frames:
    """Makes the observation before the first frame of an episode: black, `[stack, 84, 84]`."""
    return np.zeros((stack, SIDE, SIDE), np.uint8)


def grown(seen: Frames, frame: Frames) -> Frames:
    """Appends a frame `[84, 84]` to a stack `[stack, 84, 84]`, and drops the oldest."""
    return np.concatenate([seen[1:], frame[None]])


def shrink(screen: Frames) -> Frames:
    """Averages a screen `[height, width]` over the areas of 84 x 84 pixels, rounded to even."""
    rows = averages(screen.astype(np.float64), SIDE)
    exact = averages(rows.T, SIDE).T.round(DIGITS)
    pixels: Frames = np.rint(exact).astype(np.uint8)
    return pixels


def averages(values: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """Averages `[n, ...]` over equal parts of the first axis, whose edges may divide a value.

    It takes differences of running sums: a matrix product of this size would start the threads of
    BLAS for every frame, which is slow where processes compete for cores.
    """
    count = len(values)
    edges = np.arange(1, parts) * (count / parts)
    whole = edges.astype(int)
    sums = values.cumsum(0)
    fraction = (edges - whole).reshape(-1, *[1] * (values.ndim - 1))
    inner = sums[whole - 1] + fraction * values[whole]  # up to each edge but the first and last
    passed = np.concatenate([np.zeros_like(sums[:1]), inner, sums[-1:]])
    return np.asarray(np.diff(passed, axis=0) * (parts / count))


class Stacked:
    """Recorded frames that are read together with those before them; each is stored once.

    Before the first frame of an episode it was black, as in the environment.

    Args:
        frames: The frames of all episodes, one after the other, `[N, ...]`.
        first: Where each episode begins, `[episodes]`.
        stack: Frames in one observation, the newest last.
    """

    def __init__(self, frames: MappedArray, first: NDArray[np.int64], stack: int) -> None:
        self.frames, self.first, self.stack = frames, first, stack

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Reads the observations at steps, `[*index.shape, stack, ...]`."""
        episode = np.searchsorted(self.first, index, side="right") - 1
        step = index[..., None] + np.arange(1 - self.stack, 1)
        dark = step < self.first[episode][..., None]
        read = self.frames[np.where(dark, 0, step)]
        read[dark] = 0
        return read
