"""Controllers are experts, worse with noise, and a function of their seed."""

import importlib.metadata

import numpy as np
import pytest

from components.supports import Interval, Tokens
from framework.data.trajectories.archives import Archive
from framework.data.trajectories.controllers import CartPole, Hopper, Pendulum
from framework.data.trajectories.module import TrajectoryData


@pytest.mark.parametrize(
    ("source", "support", "expert", "random"),
    [
        (Pendulum, Interval(-2, 2, (1,)), (-250, -100), (-1500, -900)),
        (CartPole, Tokens(2), (500, 500), (15, 30)),
    ],
)
def test_controllers_are_experts(source, support, expert, random):
    data = TrajectoryData(source(steps=2_000, noise=[0.0], seed=1), holdout=0.1)
    spec = data.spec
    assert spec.support == support
    assert expert[0] <= spec.data_return <= expert[1]
    assert random[0] <= spec.random_return <= random[1]


def test_noise_makes_good_and_bad_episodes():
    returns = {}
    for scale in (0.25, 1.0, 4.0):
        episodes = Pendulum(steps=2_000, noise=[scale]).read()
        returns[scale] = episodes.reward.sum() / len(episodes.length)
    assert returns[0.25] > returns[1.0] > returns[4.0]


def test_playing_is_a_function_of_the_seed():
    first, again, other = (Pendulum(steps=500, seed=seed).read() for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.observation, other.observation)
    assert Pendulum(seed=3).key() != Pendulum(seed=4).key()


def test_recorded_actions_lead_to_what_was_seen_next():
    import gymnasium

    episodes = CartPole(steps=300, seed=0).read()
    environment = gymnasium.make("CartPole-v1").unwrapped
    environment.reset()
    for step in range(int(episodes.length[0]) - 1):
        environment.state = episodes.observation[step].astype(np.float64)
        seen = environment.step(int(episodes.action[step]))[0]
        np.testing.assert_allclose(seen, episodes.observation[step + 1], atol=1e-5)


def test_noise_that_cannot_be_played_gets_one_sentence():
    for options in ({"steps": 0}, {"noise": []}, {"noise": [-1.0]}):
        with pytest.raises(ValueError, match=r"Pendulum: .*=.* cannot be played; \S"):
            Pendulum(**options)


pytest.importorskip("mujoco")


@pytest.mark.slow
def test_the_actor_hops_far_without_noise():
    episodes = Hopper(steps=1_000, noise=[0.0]).read()
    returns = [part.sum() for part in np.split(episodes.reward, episodes.length.cumsum()[:-1])]
    assert np.mean(returns) > 2_500
    assert Archive(Hopper(steps=2_000), 0.2).environment.space.support() == Interval(-1, 1, (3,))


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
