"""Hopper: a trained actor hops on one leg in MuJoCo, with noise of several scales."""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from typing import Any

import numpy as np

from framework.data.trajectories.playing import Disturbed, Floats

ACTOR = "hopper_actor.npz"


class Hopper(Disturbed):
    """A leg that hops forward by three torques between -1 and 1 (Hopper-v5).

    The actor, two layers of 64 tanh units on standardized observations, was trained with PPO for
    1.25 million steps; its weights come with this package. The noise is counted in standard
    deviations of the actor's own, and the sum cut to the bounds: about a third of all torques lie
    on a bound even without noise, two thirds with the most of it. That is a spike at both ends of
    the range, which smooth distributions fit badly. Mean returns at the five scales are about
    3200, 2700, 2000, 1200 and 550; at random, 20.

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
