"""Played episodes: a scripted controller with noise acts in a real environment, in seconds."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from framework.data.trajectories.environments import make
from framework.data.trajectories.episodes import Episodes, EpisodeSource

Floats = NDArray[np.float64]


class Played(EpisodeSource):
    """Episodes of a controller whose decisions are disturbed by Gaussian noise.

    Each episode has one scale of noise, by turns, so that there are good and bad ones. Actions are
    recorded as they were taken, noise included.

    Args:
        steps: Steps at least; the last episode is played to its end.
        noise: Standard deviations of the noise; those that suit the controller if not given.
        seed: Seed of the environment and of the noise.

    Raises:
        ValueError: If there is no step or no scale, or a scale is negative.
    """

    suited: ClassVar[tuple[float, ...]]
    recipe: ClassVar[int] = 1  # part of the key: raise it when a controller changes

    def __init__(
        self, steps: int = 20_000, noise: Sequence[float] | None = None, seed: int = 0
    ) -> None:
        self.steps, self.seed = steps, seed
        self.noise = tuple(self.suited if noise is None else noise)
        if steps < 1 or not self.noise or min(self.noise) < 0:
            raise ValueError(
                f"{type(self).__name__}: steps={steps} and noise={list(self.noise)} cannot be "
                "played; use at least one step and one scale of noise, none of them negative."
            )

    @abstractmethod
    def act(self, observation: Floats, noise: Floats) -> Any:
        """Decides.

        Args:
            observation: What is seen.
            noise: What to add to the decision, `[components]` (one for a choice).

        Returns:
            An action that the environment takes.
        """

    def key(self) -> dict[str, object]:
        """Names the controller, its options, and the version of the environment."""
        options = [self.steps, list(self.noise), self.seed]
        packages = [version("gymnasium"), version("numpy")]
        return {"played": type(self).__qualname__, "recipe": [self.recipe, *options, *packages]}

    def read(self) -> Episodes:
        """Plays."""
        environment = make(self.environment)
        random = np.random.default_rng(self.seed)
        episodes: list[Episodes] = []
        played = 0
        while played < self.steps:
            scale = self.noise[len(episodes) % len(self.noise)]
            episodes.append(self._play(environment, random, scale))
            played += len(episodes[-1].reward)
        environment.close()
        return Episodes.join(episodes)

    def _play(self, environment: Any, random: np.random.Generator, scale: float) -> Episodes:
        """Plays one episode with noise of one scale."""
        width = math.prod(environment.action_space.shape)
        observation, _ = environment.reset(seed=int(random.integers(2**31)))
        steps: list[tuple[Any, Any, float]] = []
        over = False
        while not over:
            action = self.act(observation, scale * random.normal(size=width))
            after, reward, terminated, truncated, _ = environment.step(action)
            steps.append((observation, action, float(reward)))
            observation, over = after, terminated or truncated
        seen, done, rewards = (np.array(column) for column in zip(*steps, strict=True))
        return Episodes(seen, done, rewards, np.array([len(steps)]))


class Pendulum(Played):
    r"""A pendulum that is swung up and balanced by a torque between -2 and 2 (Pendulum-v1).

    Far from upright, the torque feeds energy in as long as it is short of that of rest at the top,

    .. math:: u = -(E - E_0)\,\omega, \qquad E - E_0 = \omega^2 / 6 + 5 (\cos\theta - 1),

    and near it, it balances: :math:`u = -10\,\theta - 2\,\omega`. The noise is added to the
    torque, and the sum cut to the bounds. Without noise the mean return is about -140; at random,
    -1200.

    Args:
        steps: Steps at least; an episode has 200.
        noise: Standard deviations of the noise of the torque; 0.25, 0.5 and 1 if not given.
        seed: Seed of the environment and of the noise.

    Source: Åström and Furuta, "Swinging up a pendulum by energy control" (2000), section 3.
    """

    environment = "Pendulum-v1"
    suited = (0.25, 0.5, 1.0)
    bound: ClassVar[float] = 2.0
    rate: ClassVar[float] = math.sqrt(15.0)  # 1/s, at which it falls from upright: 3 g / 2 l = 15
    caught: ClassVar[float] = 0.5  # rad, within which balancing holds: the torque carries 0.4 rad

    def act(self, observation: Floats, noise: Floats) -> Any:
        """Returns a torque, `[1]`."""
        cosine, sine, speed = (float(x) for x in observation)
        angle = math.atan2(sine, cosine)
        if abs(angle + speed / self.rate) < self.caught and cosine > 0:
            torque = -10 * angle - 2 * speed
        elif speed == 0:
            torque = self.bound  # there is no swing to feed yet
        else:
            torque = -(speed**2 / 6 + 5 * (cosine - 1)) * speed
        disturbed = min(self.bound, max(-self.bound, torque)) + noise
        return np.clip(disturbed, -self.bound, self.bound).astype(np.float32)


class CartPole(Played):
    """A pole that is balanced by pushing its cart to the left or to the right (CartPole-v1).

    The push goes to where a weighted sum of position, speed, angle and angular speed points. The
    noise is added to the sum. Without noise an episode earns all of 500; at random, 22.

    Args:
        steps: Steps at least; an episode has up to 500.
        noise: Standard deviations of the noise of the sum; 0.5, 0.75, 1 and 2 if not given.
        seed: Seed of the environment and of the noise.
    """

    environment = "CartPole-v1"
    suited = (0.5, 0.75, 1.0, 2.0)
    gains: ClassVar[tuple[float, ...]] = (0.1, 0.3, 3.0, 1.0)

    def act(self, observation: Floats, noise: Floats) -> Any:
        """Returns 0 for a push to the left, 1 for one to the right."""
        return int(np.dot(self.gains, observation) + noise[0] > 0)
