"""Played episodes: a scripted player acts in a real environment at several levels of skill."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.trajectories.episodes import UNKNOWN, Episodes, EpisodeSource
from framework.data.trajectories.making import make

Floats = NDArray[np.float64]


class Decision(NamedTuple):
    """What a player does at a step, and what it might have done."""

    action: Any  # in the form of the environment
    chances: NDArray[Any] | None = None  # what it was drawn from, as in `Episodes`; None: unknown


class Played(EpisodeSource):
    """Episodes of a player at several levels of skill, so that some are better.

    Levels alternate between episodes. Actions are recorded as they were taken.

    Args:
        steps: Steps at least; the last episode is played to its end.
        levels: The levels of skill, in plain values.
        seed: Seed of the environment and of the player.

    Raises:
        ValueError: If there is no step or no level.
    """

    revision: ClassVar[int] = 1  # part of the key: increase it when a player changes
    packages: ClassVar[tuple[str, ...]] = ("gymnasium", "numpy")  # whose versions are part of it

    def __init__(self, steps: int, levels: Sequence[Any], seed: int) -> None:
        self.steps, self.levels, self.seed = steps, tuple(levels), seed
        if steps < 1 or not self.levels:
            raise ValueError(
                f"{type(self).__name__}: steps={steps} at levels of skill {list(self.levels)} "
                "cannot be played; use at least one step and one level or scale of noise."
            )

    @abstractmethod
    def player(self, level: Any, random: np.random.Generator) -> Callable[[Any], Any]:
        """Makes the player of one episode.

        Args:
            level: How well it is to be played.
            random: The only source of randomness of the player.

        Returns:
            A function from the observation of a step to an action.
        """

    def decider(self, level: Any, random: np.random.Generator) -> Callable[[Any], Decision]:
        """Makes the player of one episode, who also says what an action was drawn from.

        Here that is unknown. A source that overrides it does so for all of its levels.

        Args:
            level: How well it is to be played.
            random: The only source of randomness of the player.

        Returns:
            A function from the observation of a step to a decision.
        """
        player = self.player(level, random)
        return lambda seen: Decision(player(seen))

    def key(self) -> dict[str, object]:
        """Names the player, its options, and the versions of the packages of its environment.

        Raises:
            ValueError: If a package is missing.
        """
        options = [self.steps, list(self.levels), self.seed]
        try:
            versions = [version(package) for package in self.packages]
        except PackageNotFoundError as error:
            raise ValueError(
                f"{type(self).__name__} plays in {self.environment}, which needs the package "
                f"{error.name}; pip install 'overtone[rl]'."
            ) from error
        return {"played": type(self).__qualname__, "options": [self.revision, *options, *versions]}

    def read(self) -> Episodes:
        """Plays."""
        with closing(make(self.environment)) as environment:
            return self.play(environment)

    def play(self, environment: Any) -> Episodes:
        """Plays in an environment with the observations of the player's own."""
        random = np.random.default_rng(self.seed)
        episodes: list[Episodes] = []
        played = 0
        while played < self.steps:
            level = self.levels[len(episodes) % len(self.levels)]
            seed = int(random.integers(2**31))
            episodes.append(_play(environment, seed, self.decider(level, random)))
            played += len(episodes[-1].reward)
        return Episodes.join(episodes)


class Disturbed(Played):
    """Episodes of a controller whose decisions are disturbed by Gaussian noise of several scales.

    Args:
        steps: Steps at least; the last episode is played to its end.
        noise: Standard deviations of the noise; those of the controller if not given.
        seed: Seed of the environment and of the noise.

    Raises:
        ValueError: If there is no step or no scale, or a scale is negative.
    """

    suited: ClassVar[tuple[float, ...]]
    width: ClassVar[int] = 1  # components of the noise

    def __init__(
        self, steps: int = 20_000, noise: Sequence[float] | None = None, seed: int = 0
    ) -> None:
        super().__init__(steps, self.suited if noise is None else noise, seed)
        if min(self.levels) < 0:
            raise ValueError(
                f"{type(self).__name__}: noise={list(self.levels)} cannot be played; "
                "a standard deviation is at least 0."
            )

    @abstractmethod
    def act(self, observation: Floats, noise: Floats) -> Any:
        """Decides on an action.

        Args:
            observation: The observation.
            noise: Noise to add to the decision, `[width]`.

        Returns:
            An action in the form of the environment.
        """

    def player(self, level: float, random: np.random.Generator) -> Callable[[Any], Any]:
        """Decides with noise of one scale."""
        return lambda seen: self.act(seen, level * random.normal(size=self.width))


def _play(environment: Any, seed: int, decide: Callable[[Any], Decision]) -> Episodes:
    """Plays one episode."""
    observation, _ = environment.reset(seed=seed)
    steps: list[tuple[Any, Any, float]] = []
    known: list[NDArray[Any]] = []
    over = False
    while not over:
        action, chances = decide(observation)
        after, reward, terminated, truncated, _ = environment.step(action)
        steps.append((observation, action, float(reward)))
        known += [] if chances is None else [chances]
        observation, over = after, terminated or truncated
    seen, done, rewards = (np.array(column) for column in zip(*steps, strict=True))
    drawn_from = np.array(known, np.float32) if known else UNKNOWN
    return Episodes(seen, done, rewards, np.array([len(steps)]), drawn_from)
