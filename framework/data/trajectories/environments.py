"""Environments: their facts from gymnasium, and the return of random actions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from components.supports import Interval, Tokens

RANDOM_EPISODES = 32  # over which the return of a random policy is averaged
ATARI = {"ram": "AtariRam", "frames": "AtariFrames"}  # class by kind of observation
ATARI_STEPS = 27_000  # of four frames, in an episode at most


class Environment:
    """An environment, by its gymnasium id.

    Args:
        name: The id, as `make` takes it.

    Raises:
        ValueError: If there is no environment of this id, a package that it needs is missing,
            observations are not one array, or actions are neither discrete nor bounded vectors.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        made = make(name)
        self.limit: int = made.spec.max_episode_steps or 0  # steps; 0 if episodes are never cut
        self.observation: tuple[int, ...] = made.observation_space.shape or ()
        self.support = _support(made.action_space, name)
        made.close()

    def random_return(self, steps: int, seed: int = 0) -> float:
        """Plays with random actions, and averages the sum of rewards.

        Args:
            steps: Longest episode, in steps.
            seed: Seed of the environment and of the actions.
        """
        made = make(self.name)
        made.action_space.seed(seed)
        total = 0.0
        for episode in range(RANDOM_EPISODES):
            made.reset(seed=seed + episode)
            for _ in range(steps):
                _, reward, terminated, truncated, _ = made.step(made.action_space.sample())
                total += float(reward)
                if terminated or truncated:
                    break
        made.close()
        return total / RANDOM_EPISODES


def make(name: str) -> Any:
    """Makes an environment to play in.

    Args:
        name: A gymnasium id, such as `Pendulum-v1`. Atari games have additional ids: observations
            of `overtone/Seaquest-ram` are the memory, of `overtone/Seaquest-frames` the last four
            frames of 84 x 84 pixels (`atari.AtariRam`, `atari.AtariFrames`).

    Raises:
        ValueError: If there is no environment of this id, or a package that it needs is missing.
    """
    import gymnasium  # slow to import

    try:
        if name not in gymnasium.registry:
            _register_atari(name)
        return gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(
            f"The environment {name!r} cannot be made ({' '.join(str(error).split())}); "
            "check the id, or install what it needs: pip install 'overtone[rl]'."
        ) from error


def _register_atari(name: str) -> None:
    """Registers an Atari game with gymnasium if the id is one of ours."""
    from gymnasium import register

    if match := re.fullmatch(rf"overtone/(\w+)-({'|'.join(ATARI)})", name):
        game, kind = match.groups()
        entry = f"{__package__}.atari:{ATARI[kind]}"
        register(name, entry, max_episode_steps=ATARI_STEPS, kwargs={"game": game})


def _support(space: Any, name: str) -> Tokens | Interval:
    """Reads a space of actions."""
    from gymnasium import spaces

    match space:
        case spaces.Discrete(n=size):
            return Tokens(int(size))
        case spaces.Box(low=low, high=high, shape=shape) if np.isfinite([low, high]).all():
            return Interval(float(low.min()), float(high.max()), shape)
    raise ValueError(
        f"The environment {name!r} has the actions {space}; "
        "choose one with discrete actions or bounded vectors."
    )
