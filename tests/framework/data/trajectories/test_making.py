"""Environments of one's own: found in a module, and checked before the first episode."""

import sys
from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from components.data import TrajectorySpec
from components.supports import Interval, Tokens
from framework.data.trajectories.environments import Environment
from framework.data.trajectories.making import make
from framework.data.trajectories.module import TrajectoryData
from tests.framework.data.trajectories.test_module import Fixed, made

CORRIDOR = """
import gymnasium, numpy as np


class Corridor(gymnasium.Env):
    metadata = {"render_modes": [], "render_fps": 10}
    observation_space = gymnasium.spaces.Box(-9, 9, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1, np.float32), {}

    def step(self, action):
        return np.zeros(1, np.float32), 1.0, False, False, {}


gymnasium.register("my/Corridor-v0", Corridor, max_episode_steps=7)
"""


@pytest.fixture
def corridor(tmp_path, monkeypatch):
    """The name of a module that registers my/Corridor-v0."""
    (tmp_path / "corridor_of_test.py").write_text(CORRIDOR)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "corridor_of_test"
    sys.modules.pop("corridor_of_test", None)
    gymnasium.registry.pop("my/Corridor-v0", None)


def test_an_environment_is_found_in_its_module(corridor):
    place = Environment(f"{corridor}:my/Corridor-v0")
    assert (place.limit, place.observation, place.space.support()) == (7, (1,), Tokens(2))
    assert place.random_return(100) == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my/Hall-v0", "name the module that registers it, as in module:my/Hall-v0: it may lie"),
        ("nowhere_at_all:Hall-v0", "neither in the working directory '.*' nor beside a recipe"),
        ("yaml:Hall-v0", "yaml was imported, but must register 'Hall-v0' with gymnasium.register"),
        ("a:b:Hall-v0", "'a:b:Hall-v0' has two colons; write module:Env-v0"),
        ("ALE/Nothing-v5", r"install it with pip install 'overtone\[rl\]' and write ale_py:ALE/N"),
        ("CartPole-v99", "doesn't exist.*; check the version"),
        ("CartPoll-v1", "Did you mean: `CartPole`.*; check the id"),
    ],
)
def test_what_cannot_be_made_gets_one_sentence(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(name)
    assert str(caught.value).startswith(f"The environment {name!r}")
    assert "\n" not in str(caught.value)


def test_errors_in_the_module_of_a_user_have_their_place(corridor, tmp_path):
    (tmp_path / "corridor_of_test.py").write_text("import numpy\n\nwrong = 1 / 0\n")
    with pytest.raises(
        ValueError, match=r"\(ZeroDivisionError: .*, corridor_of_test.py:3\); corr"
    ):
        make(f"{corridor}:my/Corridor-v0")
    sys.modules.pop("corridor_of_test", None)
    (tmp_path / "corridor_of_test.py").write_text("import nothing_of_this_name_at_all\n")
    with pytest.raises(ValueError, match=r"No module named 'nothing_of_.*'\); install it\.$"):
        make(f"{corridor}:my/Corridor-v0")


POLICY = TrajectorySpec(
    Tokens(2), (4,), 5, 9, "CartPole-v1", (0.0,) * 4, (1.0,) * 4
)  # of the data that a policy was trained on
TORQUE = replace(POLICY, support=Interval(-2, 2, (1,)), observation=(3,))


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("Acrobot-v1", POLICY, r"has observations of shape \(6,\), the policy was trained on \(4"),
        (
            "CartPole-v1",
            replace(POLICY, support=Tokens(3)),
            r"Discrete\(2\) of CartPole-v1, the policy was trained on Tokens\(size=3\)",
        ),
        ("CartPole-v1", replace(POLICY, support=Interval(0, 1)), r"Discrete\(2\) of .*Interval"),
        ("Pendulum-v1", replace(TORQUE, support=Tokens(2)), r"Box\(-2.0, 2.0, \(1,\), float32\)"),
        ("Pendulum-v1", replace(TORQUE, support=Interval(-1, 1, (1,))), "Box.*Interval.low=-1"),
        ("Pendulum-v1", replace(TORQUE, support=Interval(-2, 2)), "Box.*choose the environment"),
        (
            "Pendulum-v1",
            replace(TORQUE, support=Interval(-3, 1, (1,)), environment=""),
            "Box.*Interval.low=-3",
        ),
    ],
)
def test_a_policy_of_another_environment_is_refused(name, spec, message):
    with pytest.raises(ValueError, match=message):
        Environment(name).require(spec)


def test_a_policy_of_its_environment_fits():
    Environment("CartPole-v1").require(POLICY)
    Environment("Pendulum-v1").require(TORQUE)
    recorded = replace(TORQUE, support=Interval(-1.9, 1.7, (1,)), environment="")
    Environment("Pendulum-v1").require(recorded)  # the range of records without an environment


class Faulty(gymnasium.Env):
    """An environment of which one thing can be wrong."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012 # as gymnasium does
    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, fault="", render_mode=None):
        self.fault, self.render_mode = fault, render_mode

    def reset(self, *, seed=None, options=None):
        if self.fault == "raises":
            raise RuntimeError("no map")
        seen = np.zeros(3 if self.fault == "shape" else 2, np.float32)
        return seen if self.fault == "reset" else (seen, {})

    def step(self, action):
        seen = np.zeros(2, np.float32)
        return (seen, 0.0, False, {}) if self.fault == "step" else (seen, 0.0, False, False, {})

    def render(self):
        return None if self.fault == "render" else np.zeros((8, 8, 3), np.uint8)


class Unordered(Faulty):
    metadata = {"render_modes": ["human"]}  # noqa: RUF012 # as gymnasium does


FAULTS = {
    "raises": r"cannot be played \(RuntimeError: no map, test_making.py:\d+\); correct it",
    "reset": "returns ndarray from reset, not an observation and an info; return both",
    "step": "returns tuple of 4 from step; return an observation, a reward, terminated,",
    "shape": r"an observation of shape \(3,\) from reset, but its observation space says \(2,\)",
    "render": r"draws NoneType of shape \(\); return pictures \[height, width, 3\] from render",
}
for fault in ("", *FAULTS):
    gymnasium.register(f"overtone-tests/Faulty{fault}-v0", Faulty, kwargs={"fault": fault})
gymnasium.register("overtone-tests/Unordered-v0", Unordered)


@pytest.mark.parametrize(("fault", "message"), FAULTS.items())
def test_what_is_wrong_with_an_environment_is_found_by_a_step(fault, message):
    Environment("overtone-tests/Faulty-v0").try_out(pictures=True)
    with pytest.raises(ValueError, match=message):
        Environment(f"overtone-tests/Faulty{fault}-v0").try_out(pictures=True)


def test_data_try_their_environment_before_they_play_it():
    episodes = made(observation=(2,))._replace(action=np.arange(36) % 2)
    data = TrajectoryData(Fixed(episodes, "overtone-tests/Faultystep-v0"))
    with pytest.raises(ValueError, match="returns tuple of 4 from step; return an observation"):
        _ = data.spec


def test_an_environment_without_pictures_is_not_filmed():
    place = Environment("overtone-tests/Unordered-v0")
    place.try_out()
    with pytest.raises(ValueError, match=r"its render modes are \['human'\], without 'rgb_array'"):
        place.try_out(pictures=True)


@pytest.mark.parametrize(
    "space",
    [gymnasium.spaces.Dict(a=gymnasium.spaces.Discrete(2)), gymnasium.spaces.Text(3)],
    ids=["Dict", "Text"],
)
def test_observations_that_are_no_array_are_refused(space, monkeypatch):
    monkeypatch.setattr(Faulty, "observation_space", space)
    with pytest.raises(ValueError, match="which are not one array; wrap it") as caught:
        Environment("overtone-tests/Faulty-v0")
    assert str(space) in str(caught.value)
