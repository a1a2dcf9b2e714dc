"""Cost of episodes whose full windows are continued, relative to reading every window again.

The model is that of Decision Transformer on Hopper, with windows of 20 time steps; observations
and actions have as many numbers as there. The environment does nothing, so that the model takes
the time. Episodes of 100 steps with `reread=10` and with `reread=1` take turns in one process, in
float32 on one thread, and a figure is the ratio of the medians of their processor time: of one
episode, and of 16 at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.fourier import Step, ratio
from benchmarks.scoreboard import Figure, report
from components import Backbone, Decoder, Head, Interval, LinearHead, Stem, TrajectoryStem
from components.data import EpisodeBatch, TrajectoryBatch, TrajectorySpec
from components.layers.feedforward import FeedForward
from components.layers.norms import LayerNorm
from framework.evaluation.acting import sample
from framework.evaluation.rollout import play
from framework.evaluation.windows import WindowReader

SPEC = TrajectorySpec(
    support=Interval(-1.0, 1.0, (3,)),
    observation=(11,),
    length=20,
    horizon=100,
    environment="",
    mean=(0.0,) * 11,
    std=(1.0,) * 11,
)
REREAD = 10
BOUNDS = {1: 0.95, 16: 0.4}  # by the number of episodes

Parts = tuple[Stem, Backbone, Head]


class Still:
    """An environment in which nothing happens."""

    action_space = Box(-1.0, 1.0, (3,))

    def reset(self, seed: int) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Begins an episode."""
        return np.zeros(11, np.float32), {}

    def step(self, action: Any) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Pays nothing and never ends."""
        return np.zeros(11, np.float32), 0.0, False, False, {}

    def close(self) -> None:
        """Has nothing to close."""


def parts() -> Parts:
    """Builds stem, backbone and head."""
    feedforward = partial(FeedForward, activation=nn.ReLU)
    backbone = Decoder(dim=128, depth=3, heads=1, feedforward=feedforward, norm=LayerNorm)
    head = LinearHead(backbone.dim, SPEC.support)
    return TrajectoryStem(backbone.dim, SPEC), backbone, head


def playing(model: Parts, episodes: int, reread: int) -> Step:
    """Makes a step that plays episodes at once."""
    stem, backbone, head = model
    batch = EpisodeBatch(torch.arange(episodes), torch.ones(episodes))

    def step() -> Tensor:
        read = WindowReader(stem, backbone, SPEC.length)

        def policy(window: TrajectoryBatch, uniform: Tensor) -> Tensor:
            return sample(head(read(window)), uniform, SPEC.support)

        return play(policy, SPEC, batch, environment=lambda _: Still(), reread=reread).returns

    return step


def figures() -> Iterator[Figure]:
    """Measures the time of playing."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = parts()
    for episodes, bound in BOUNDS.items():
        continued, read_again = (playing(model, episodes, reread) for reread in (REREAD, 1))
        cost = ratio(continued, read_again, 5)
        yield Figure(f"continued_over_read_again_of_{episodes}_episodes", cost, "<=", bound)


if __name__ == "__main__":
    report(figures())
