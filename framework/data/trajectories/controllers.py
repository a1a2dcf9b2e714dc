"""Controllers: of a pendulum, of a pole on a cart, and a trained actor that hops."""

from __future__ import annotations

import math
from functools import cached_property
from importlib.resources import files
from typing import Any, ClassVar

import numpy as np

from framework.data.trajectories.playing import Disturbed, Floats


class Pendulum(Disturbed):
    r"""A pendulum that is swung up and balanced by a torque between -2 and 2 (Pendulum-v1).

    Far from upright, the torque adds energy until it equals that of rest at the top,

    .. math:: u = -(E - E_0)\,\omega, \qquad E - E_0 = \omega^2 / 6 + 5 (\cos\theta - 1),

    and near it, it balances: :math:`u = -10\,\theta - 2\,\omega`. The noise is added to the
    torque, and the sum clipped to the bounds. Without noise the mean return is about -140; at
    random, -1200.

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
        disturbed = self.wanted(observation) + noise
        return np.clip(disturbed, -self.bound, self.bound).astype(np.float32)

    @classmethod
    def wanted(cls, observation: Floats) -> float:
        """Returns the torque without noise, between the bounds."""
        cosine, sine, speed = (float(x) for x in observation)
        angle = math.atan2(sine, cosine)
        if abs(angle + speed / cls.rate) < cls.caught and cosine > 0:
            torque = -10 * angle - 2 * speed
        elif speed == 0:
            torque = cls.bound  # there is no swing to amplify yet
        else:
            torque = -(speed**2 / 6 + 5 * (cosine - 1)) * speed
        return min(cls.bound, max(-cls.bound, torque))


class CartPole(Disturbed):
    """A pole that is balanced by pushing its cart to the left or to the right (CartPole-v1).

    The cart is pushed in the direction of the sign of a weighted sum of position, speed, angle and
    angular speed. The noise is added to the sum. Without noise an episode has the full return of
    500; at random, 22.

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


ACTOR = "hopper_actor.npz"


class Hopper(Disturbed):
    """A leg that hops forward by three torques between -1 and 1 (Hopper-v5).

    The actor, two layers of 64 tanh units on standardized observations, was trained with PPO for
    1.25 million steps; its weights come with this package. The noise is in units of the
    standard deviation of the actor, and the sum is clipped to the bounds: about a third of all
    torques lie on a bound even without noise, two thirds with the most of it. That is a spike at
    both ends of the range, which smooth distributions fit badly. Mean returns at the five scales
    are about 3200, 2700, 2000, 1200 and 550; at random, 20.

    Args:
        steps: Steps at least; an episode has up to 1000.
        noise: Scales of the noise; 0, 1, 1.5, 2.5 and 4 if not given.
        seed: Seed of the environment and of the noise.

    Source: Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv:1707.06347).
    """

    environment = "Hopper-v5"
    suited = (0.0, 1.0, 1.5, 2.5, 4.0)
    width = 3
    packages = (*Disturbed.packages, "mujoco")

    @cached_property
    def actor(self) -> dict[str, Floats]:
        """Weights by name."""
        with files(__package__).joinpath(ACTOR).open("rb") as file, np.load(file) as weights:
            return {name: weights[name].astype(np.float64) for name in weights}

    def act(self, observation: Floats, noise: Floats) -> Any:
        """Returns torques, `[3]`."""
        actor = self.actor
        hidden = (observation - actor["mu"]) / actor["sd"]
        for layer in "01":
            hidden = np.tanh(actor[f"w{layer}"] @ hidden + actor[f"b{layer}"])
        mean = actor["wo"] @ hidden + actor["bo"]
        return np.clip(mean + np.exp(actor["logstd"]) * noise, -1, 1).astype(np.float32)
