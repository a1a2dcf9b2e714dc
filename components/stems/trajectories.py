"""TrajectoryStem: embeds an episode as observations and actions in turn, and returns-to-go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from components.data import TrajectoryBatch, TrajectorySpec
from components.interfaces import Embedded, Stem
from components.layers.feedforward import ActivationFactory
from components.layers.linear import Embedding, Linear
from components.stems.observations import FlatObservation, ObservationFactory, Standardize
from components.stems.specs import require


def _alone(states: Tensor) -> Tensor:
    """Leaves the states of a step as they are, `[B, T, n, D]`."""
    return states


def _added(states: Tensor) -> Tensor:
    """Adds the first state, of the return, to that of the observation: `[B, T, n - 1, D]`."""
    wanted, seen, *done = states.unbind(2)
    return torch.stack([wanted + seen, *done], 2)


class ReturnPlace(NamedTuple):
    """Where the return-to-go enters."""

    states: int  # of a time step
    read: bool  # whether the return is embedded at all
    join: Callable[[Tensor], Tensor]  # makes these states of the embedded parts


Returns = Literal["token", "added", "none"]
RETURNS = {
    "token": ReturnPlace(states=3, read=True, join=_alone),
    "added": ReturnPlace(states=2, read=True, join=_added),
    "none": ReturnPlace(states=2, read=False, join=_alone),
}
"""The places of the return-to-go by their names in configuration."""


class TrajectoryStem(Stem):
    """Turns a time step into three states: return-to-go, observation and action.

    The state of the observation predicts the action: it sees all earlier steps, and the return and
    the observation of its own step, not the action. A learned vector of the time within the
    episode is added to all three; times beyond the longest episode of the data are clamped to its
    last.

    Args:
        dim: Width of the states.
        spec: Facts of the episodes.
        observation: Makes the encoder of observations, which come standardized: `FlatObservation`
            for vectors, `ConvObservation` for images.
        dropout: Probability to drop a component of a state, while training.
        activation: Activation of the three before the vector of the time is added; the paper has
            none for vectors and `torch.nn.Tanh` for images.
        returns: Where the return-to-go enters: as a state of its own (`token`), `added` to the
            state of the observation, which leaves two states in place of three, or not at all
            (`none`), which clones whatever was done, good or bad.

    Raises:
        ValueError: If the data are not trajectories.

    Source: Chen et al., "Decision Transformer" (arXiv:2106.01345), section 3.
    """

    reach = 1  # the action before, which the state next to a target holds

    def __init__(
        self,
        dim: int,
        spec: TrajectorySpec,
        observation: ObservationFactory = FlatObservation,
        dropout: float = 0.0,
        activation: ActivationFactory = nn.Identity,
        returns: Returns = "token",
    ) -> None:
        super().__init__()
        require(spec, TrajectorySpec)
        self.support, self.longest = spec.support, spec.longest or spec.horizon
        self.place = RETURNS[returns]
        self.standardize = Standardize(spec.mean, spec.std, spec.observation)
        self.standardize_return = Standardize([0.0], [spec.return_scale], [1])
        self.return_to_go = Linear(1, dim) if self.place.read else None
        self.observation = observation(dim=dim, shape=spec.observation)
        self.action = Linear(self.support.width, dim)
        self.time = Embedding(self.longest, dim)
        self.activation, self.dropout = activation(), nn.Dropout(dropout)

    def forward(self, batch: TrajectoryBatch) -> Embedded:
        """Embeds T time steps as states `[B, 3T, D]`; `[B, 2T, D]` without one of the return."""
        dtype = self.time.weight.dtype
        parts = [
            self.observation(self.standardize(batch.observation).to(dtype)),
            self.action(self.support.encode(batch.action).to(dtype)),
        ]
        if self.return_to_go is not None:
            wanted = self.standardize_return(batch.return_to_go.unsqueeze(-1)).to(dtype)
            parts.insert(0, self.return_to_go(wanted))
        time = self.time(batch.time.clamp(max=self.longest - 1))
        states = self.place.join(self.activation(torch.stack(parts, 2)))
        steps = states + time.unsqueeze(2)  # [B, T, states, D]
        mask = batch.mask.unsqueeze(2).expand(-1, -1, self.place.states).flatten(1)
        return Embedded(self.dropout(steps.flatten(1, 2)), mask)

    def readout(self, hidden: Tensor) -> Tensor:
        """Selects the observations, next to the last of each step: `[B, T, D]`."""
        states = self.place.states
        return hidden[:, states - 2 :: states]
