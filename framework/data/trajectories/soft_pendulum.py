"""SoftPendulum: a pendulum's expert that draws torques, from distributions that are recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from framework.data.trajectories.controllers import Pendulum
from framework.data.trajectories.drawing import boltzmann, draw
from framework.data.trajectories.playing import Decision, Floats, Played


class SoftPendulum(Played):
    r"""A pendulum that is swung up by torques near the one that its controller wants.

    The range of the torque is divided into equal cells with middles :math:`u_k`. A cell is drawn
    with probability

    .. math:: p_k \propto e^{-(u_k - u)^2 / T}

    where u is the torque that `Pendulum` wants, and any torque within it is equally likely:
    half a normal distribution where u lies on a bound, without a spike there. The probabilities
    are recorded, so that predictions are scored by their divergence from them (`kl`). With one
    temperature, they depend on the observation alone; of several, an episode's own is hidden.
    Without a temperature the mean return is about -140; at random, -1200.

    Args:
        steps: Steps at least; an episode has 200.
        temperatures: Temperatures T in squared units of the torque, positive, an episode each in
            turn; the standard deviation is the root of T / 2.
        cells: Cells of the range of the torque.
        seed: Seed of the environment and of the draws.

    Raises:
        ValueError: If there is no step or no temperature, one is not positive, or there are fewer
            than two cells.
    """

    environment = Pendulum.environment

    def __init__(
        self,
        steps: int = 20_000,
        temperatures: Sequence[float] = (0.5,),
        cells: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__(steps, temperatures, seed)
        if min(self.levels) <= 0 or cells < 2:
            raise ValueError(
                f"SoftPendulum: temperatures={list(self.levels)} over cells={cells} leave nothing "
                "to draw; use positive temperatures and at least two cells."
            )
        self.edges = np.linspace(-Pendulum.bound, Pendulum.bound, cells + 1)

    def key(self) -> dict[str, object]:
        """Adds the number of cells."""
        return {**super().key(), "cells": len(self.edges) - 1}

    def player(self, level: float, random: np.random.Generator) -> Callable[[Any], Any]:
        """Draws torques at one temperature."""
        decide = self.decider(level, random)
        return lambda seen: decide(seen).action

    def decider(self, level: float, random: np.random.Generator) -> Callable[[Any], Decision]:
        """Draws torques at one temperature, and says from what."""
        middles = (self.edges[:-1] + self.edges[1:]) / 2

        def decide(observation: Floats) -> Decision:
            costs = (middles - Pendulum.wanted(observation)) ** 2
            chances = boltzmann(costs, level)
            cell = draw(chances, random)
            torque = random.uniform(*self.edges[cell : cell + 2])
            return Decision(np.array([torque], np.float32), chances[None])

        return decide
