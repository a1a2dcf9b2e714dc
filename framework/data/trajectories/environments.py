"""Environments: their facts from gymnasium, whether a policy fits them, returns at random."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.data import TrajectorySpec
from framework.data.trajectories.actions import space_of
from framework.data.trajectories.making import PICTURES, make, trouble
from framework.data.trajectories.spaces import ActionSpace

RANDOM_EPISODES = 32  # over which the return of a random policy is averaged


class Environment:
    """An environment, by its gymnasium id.

    Args:
        name: The id, as `make` takes it.

    Raises:
        ValueError: If it cannot be made, observations are not one array, or actions are neither
            choices nor vectors of numbers.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        with closing(make(name)) as made:
            self.limit: int = made.spec.max_episode_steps or 0  # steps; 0: episodes are never cut
            self.modes: Sequence[str] = made.metadata.get("render_modes") or ()
            self.observation = _shape(made.observation_space, name)
            self.space: ActionSpace = space_of(made.action_space, name)

    def random_return(self, steps: int, seed: int = 0) -> float:
        """Plays with random actions, and averages the sum of rewards.

        Args:
            steps: Longest episode, in steps.
            seed: Seed of the environment and of the actions.
        """
        total = 0.0
        with closing(make(self.name)) as made:
            made.action_space.seed(seed)
            for episode in range(RANDOM_EPISODES):
                made.reset(seed=seed + episode)
                for _ in range(steps):
                    _, reward, terminated, truncated, _ = made.step(made.action_space.sample())
                    total += float(reward)
                    if terminated or truncated:
                        break
        return total / RANDOM_EPISODES

    def require(self, spec: TrajectorySpec) -> None:
        """Checks that a policy can act here.

        Args:
            spec: The observations and actions that the policy was trained on.

        Raises:
            ValueError: If observations or actions differ.
        """
        if self.observation != tuple(spec.observation):
            raise ValueError(
                f"{self.name} has observations of shape {self.observation}, the policy was "
                f"trained on {tuple(spec.observation)}; choose the environment of its data."
            )
        if not self.space.allows(spec.support, all_of_it=bool(spec.environment)):
            raise ValueError(
                f"The actions are {self.space.name}, the policy was trained on {spec.support}; "
                "choose the environment of its data."
            )

    def try_out(self, pictures: bool = False) -> None:
        """Takes a step in it, to find what is missing before the first episode.

        Args:
            pictures: Whether pictures are needed.

        Raises:
            ValueError: If it does not follow the interface of gymnasium, or draws no pictures.
        """
        if pictures and PICTURES not in self.modes:
            raise ValueError(
                f"{self.name} draws no pictures: its render modes are {list(self.modes)}, without "
                f"{PICTURES!r}; add it to the environment, or leave the film out."
            )
        made = make(self.name, pictures)
        try:
            trial = _take_step(made, pictures)
        except Exception as error:
            raise ValueError(
                f"The environment {self.name!r} cannot be played ({trouble(error)}); correct it, "
                "or install what it needs."
            ) from error
        finally:
            made.close()
        if fault := trial.fault(self.observation, pictures):
            raise ValueError(f"The environment {self.name!r} {fault}.")


@dataclass(frozen=True)
class Trial:
    """What the first step in an environment returned."""

    begun: Any  # of reset
    taken: Any  # of step, None where reset was wrong
    picture: Any

    def fault(self, shape: tuple[int, ...], pictures: bool) -> str:
        """Describes what is wrong, "" if nothing is.

        Args:
            shape: Shape of the observations that the environment announces.
            pictures: Whether pictures are needed.
        """
        if not (isinstance(self.begun, tuple) and len(self.begun) == 2):
            return (
                f"returns {_kind(self.begun)} from reset, not an observation and an info; return "
                "both, as gymnasium does"
            )
        if not (isinstance(self.taken, tuple) and len(self.taken) == 5):
            return (
                f"returns {_kind(self.taken)} from step; return an observation, a reward, "
                "terminated, truncated and an info, as gymnasium does"
            )
        for source, seen in (("reset", self.begun[0]), ("step", self.taken[0])):
            if np.shape(seen) != shape:
                return (
                    f"returns an observation of shape {np.shape(seen)} from {source}, but its "
                    f"observation space says {shape}; correct one of them"
                )
        if pictures and (np.ndim(self.picture) != 3 or np.shape(self.picture)[-1] != 3):
            return (
                f"draws {_kind(self.picture)} of shape {np.shape(self.picture)}; return pictures "
                "[height, width, 3] from render"
            )
        return ""


def _take_step(made: Any, pictures: bool) -> Trial:
    begun = made.reset(seed=0)
    if not (isinstance(begun, tuple) and len(begun) == 2):
        return Trial(begun, None, None)
    picture = made.render() if pictures else None
    return Trial(begun, made.step(made.action_space.sample()), picture)


def _kind(value: Any) -> str:
    size = f" of {len(value)}" if isinstance(value, tuple) else ""
    return f"{type(value).__name__}{size}"


def _shape(space: Any, name: str) -> tuple[int, ...]:
    if space.shape is None:
        raise ValueError(
            f"The environment {name!r} has the observations {space}, which are not one array; "
            "wrap it, for example with gymnasium.wrappers.FlattenObservation."
        )
    shape: tuple[int, ...] = space.shape
    return shape
