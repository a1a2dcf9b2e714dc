"""The hopping actor in MuJoCo."""

import importlib.metadata

import numpy as np
import pytest

from components.supports import Interval
from framework.data.trajectories.archives import Archive
from framework.data.trajectories.hopper import Hopper

pytest.importorskip("mujoco")


def test_the_actor_hops_far_without_noise():
    episodes = Hopper(steps=2_000, noise=[0.0]).read()
    returns = [part.sum() for part in np.split(episodes.reward, episodes.length.cumsum()[:-1])]
    assert np.mean(returns) > 2_500
    assert Archive(Hopper(steps=2_000), 0.2).environment.support == Interval(-1, 1, (3,))


def test_much_noise_makes_it_fall_and_pushes_actions_to_the_bounds():
    calm, wild = (Hopper(steps=600, noise=[scale]).read() for scale in (1.0, 4.0))
    assert wild.reward.sum() / len(wild.length) < 1_000
    assert (abs(wild.action) == 1).mean() > (abs(calm.action) == 1).mean() > 0.2
    assert abs(wild.action).max() == 1
    assert wild.action.dtype == np.float32


def test_noise_counts_in_deviations_of_the_actor():
    """Away from the bounds an action minus that without noise is the noise times its deviation."""
    hopper, noise = Hopper(), np.array([0.1, -0.1, 0.05])
    drawn = np.random.default_rng(0).normal(size=(300, 11))
    seen = hopper.actor["mu"] + hopper.actor["sd"] * drawn
    shift = np.stack([hopper.act(x, noise) - hopper.act(x, 0 * noise) for x in seen])
    inside = np.stack([abs(hopper.act(x, 0 * noise)) < 0.8 for x in seen])
    expected = np.broadcast_to(noise * np.exp(hopper.actor["logstd"]), shift.shape)
    assert inside.sum() > 50
    np.testing.assert_allclose(shift[inside], expected[inside], atol=1e-6)


def test_a_missing_package_is_one_sentence(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("framework.data.trajectories.playing.version", missing)
    with pytest.raises(ValueError, match=r"Hopper plays in Hopper-v5, .* 'overtone\[rl\]'"):
        Hopper().key()
