"""SoftSeaquest: the scripted captain, who draws moves near the planned one from known chances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from framework.data.trajectories.drawing import Floats, boltzmann, draw
from framework.data.trajectories.playing import Decision, Played
from framework.tasks.seaquest.player import (
    MOVES,
    Bytes,
    Captain,
    Position,
    Seaquest,
    Skill,
    joystick,
    read,
)

BUTTON = 1.0  # cost of firing where that is not wanted, and of not firing where it is


@cache
def costs_of(move: Position, fire: bool) -> Floats:
    r"""Rates the 18 actions by how far they are from the wanted one, in the environment's order.

    .. math:: c = |d - w|^2 + [\text{the button differs}]

    d and w are unit vectors of the directions of the action and of the wanted move, zero where
    there is none. So neighboring directions cost 0.59, right angles 2, the opposite 4, and to do
    nothing in place of a move 1.

    Args:
        move: The wanted move.
        fire: Whether the button is wanted.

    Returns:
        Costs, `[18]`.
    """
    costs = np.empty(2 * len(MOVES))
    for other in MOVES:
        away = float(np.square(_direction(other) - _direction(move)).sum())
        for button in (False, True):
            costs[joystick(other, button)] = away + BUTTON * (button != fire)
    return costs


class SoftSeaquest(Played):
    """A submarine whose captain draws actions by how near they are to the planned one.

    The plan is that of `Seaquest`'s expert: to hunt, fire, evade and breathe. An action of cost c
    is drawn with a probability proportional to exp(-c / T), see `costs_of`, so that neighboring
    directions are alike: at 0.4 a planned direction is taken with probability 0.59, and each of
    its neighbors with 0.14. The mean return is about 3700 then (of 38 episodes); at random, 74.

    The probabilities are recorded, so that predictions are scored by their divergence from them
    (`kl`). They depend on the memory, and on whether the captain is on the way up, which only the
    past can show; of several temperatures, an episode's own is hidden, too.

    Args:
        steps: Steps of four frames at least; the last episode is played to its end.
        temperatures: Temperatures T in the unit of the costs, not negative, an episode each in
            turn; 0 always takes the planned action, and episodes then differ only in how they
            begin.
        seed: Seed of the beginnings and of the draws.

    Raises:
        ValueError: If there is no step or no temperature, one is negative, or ale-py is missing.
    """

    environment = Seaquest.environment
    packages = Seaquest.packages

    def __init__(
        self, steps: int = 20_000, temperatures: Sequence[float] = (0.4,), seed: int = 0
    ) -> None:
        super().__init__(steps, temperatures, seed)
        if min(self.levels) < 0:
            raise ValueError(
                f"SoftSeaquest: temperatures={list(self.levels)} cannot be played; use 0 for the "
                "planned actions, or positive numbers such as 0.4."
            )

    def player(self, level: float, random: np.random.Generator) -> Callable[[Bytes], int]:
        """Draws the actions of one episode."""
        decide = self.decider(level, random)
        return lambda memory: int(decide(memory).action)

    def decider(self, level: float, random: np.random.Generator) -> Callable[[Bytes], Decision]:
        """Draws the actions of one episode, and says from what."""
        captain = Captain(Skill(), random)

        def decide(memory: Bytes) -> Decision:
            chances = boltzmann(costs_of(*captain.intention(read(memory))), level)
            return Decision(draw(chances, random), chances)

        return decide


def _direction(move: Position) -> NDArray[np.float64]:
    vector = np.array(move, np.float64)
    return vector / max(1.0, float(np.sqrt(np.square(vector).sum())))
