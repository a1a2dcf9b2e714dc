"""TrajectoryStem: embeds an episode as returns-to-go, observations and actions in turn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from components.data import TrajectoryBatch, TrajectorySpec
from components.interfaces import Embedded, Stem
from components.layers.feedforward import ActivationFactory
from components.layers.linear import Embedding, Linear
from components.stems.observations import FlatObservation, ObservationFactory, Standardize
from components.stems.specs import require


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
    ) -> None:
        super().__init__()
        require(spec, TrajectorySpec)
        self.support, self.longest = spec.support, spec.longest or spec.horizon
        self.standardize = Standardize(spec.mean, spec.std, spec.observation)
        self.standardize_return = Standardize([0.0], [spec.return_scale], [1])
        self.return_to_go = Linear(1, dim)
        self.observation = observation(dim=dim, shape=spec.observation)
        self.action = Linear(self.support.width, dim)
        self.time = Embedding(self.longest, dim)
        self.activation, self.dropout = activation(), nn.Dropout(dropout)

    def forward(self, batch: TrajectoryBatch) -> Embedded:
        """Embeds T time steps as states `[B, 3T, D]`."""
        dtype = self.time.weight.dtype
        wanted = self.standardize_return(batch.return_to_go.unsqueeze(-1)).to(dtype)
        seen = self.standardize(batch.observation).to(dtype)
        done = self.support.encode(batch.action).to(dtype)
        parts = self.return_to_go(wanted), self.observation(seen), self.action(done)
        time = self.time(batch.time.clamp(max=self.longest - 1))
        steps = self.activation(torch.stack(parts, 2)) + time.unsqueeze(2)  # [B, T, 3, D]
        return Embedded(self.dropout(steps.flatten(1, 2)), batch.mask.repeat_interleave(3, 1))

    def readout(self, hidden: Tensor) -> Tensor:
        """Selects the observations among hidden states: `[B, 3T, D]` to `[B, T, D]`."""
        return hidden[:, 1::3]
