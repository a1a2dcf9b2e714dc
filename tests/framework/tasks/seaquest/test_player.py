"""The captain of the submarine, in scenes that are written into memory and in the real game."""

import numpy as np
import pytest
import torch

from components.data import EpisodeBatch, TrajectorySpec
from components.supports import Tokens
from framework.data.trajectories.making import make
from framework.data.trajectories.orders import AtariOrder
from framework.evaluation.rollout import play
from framework.tasks.seaquest.player import (
    SKILLS,
    Captain,
    Enemy,
    Seaquest,
    Skill,
    joystick,
    read,
)

LANE = 57  # y of the third lane
RAM = {"x": 70, "y": 97, "facing": 86, "oxygen": 102, "divers": 62}
DIRECTION = {"UP": (0, -1), "DOWN": (0, 1), "LEFT": (-1, 0), "RIGHT": (1, 0)}


def memory(lane=2, enemies=0, at=0, kind=0, freight=0, **own):
    """A scene in the lane at y = 57, with a submarine in it that faces right."""
    ram = np.zeros(128, np.uint8)
    for name, value in {"x": 78, "y": LANE, "facing": 0, "oxygen": 60, "divers": 0, **own}.items():
        ram[RAM[name]] = value
    ram[[36 + lane, 30 + lane, 89 + lane, 71 + lane]] = enemies, at, kind, freight
    return ram


def decide(ram, **skill):
    ale_py = pytest.importorskip("ale_py")
    return ale_py.Action(Captain(Skill(**skill), np.random.default_rng(0))(ram)).name


def test_the_joystick_is_that_of_the_emulator():
    ale_py = pytest.importorskip("ale_py")
    for move in [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]:
        for fire in (False, True):
            name = ale_py.Action(joystick(move, fire)).name
            points = [vector for word, vector in DIRECTION.items() if word in name]
            assert tuple(np.sum([(0, 0), *points], axis=0)) == move
            assert ("FIRE" in name) == fire


def test_memory_is_read_as_a_scene():
    scene = read(memory(enemies=0b101, at=240, kind=8, freight=30))
    assert scene.enemies == [Enemy(-16, LANE, -1), Enemy(16, LANE, -1)]
    assert (scene.swimmers, scene.missiles) == ([(30, LANE)], [])
    scene = read(memory(enemies=0b010, at=100, kind=5, freight=30, facing=8, divers=4))
    assert scene.enemies == [Enemy(116, LANE, 1)]
    assert (scene.swimmers, scene.missiles) == ([], [(30, LANE)])
    assert scene[:5] == (78, LANE, -1, 60, 4)


@pytest.mark.parametrize(
    ("scene", "skill", "action"),
    [
        ({"enemies": 4, "at": 130, "kind": 8}, {}, "FIRE"),  # it comes, far away, in front
        ({"enemies": 4, "at": 20, "kind": 0}, {}, "LEFTFIRE"),  # the same behind: turn
        ({"lane": 0, "enemies": 4, "at": 130, "kind": 8}, {}, "DOWN"),  # two lanes below
        ({"lane": 3, "enemies": 4, "at": 130, "kind": 8}, {}, "UP"),  # one lane above
        ({"freight": 130}, {}, "RIGHT"),  # a diver
        ({"freight": 130, "divers": 5}, {}, "RIGHT"),
        ({"freight": 130, "divers": 6}, {}, "UP"),  # no room: bring them up
        ({"freight": 130}, {"divers": False}, "DOWN"),  # not cared for: to the middle
        ({"oxygen": 20}, {}, "UP"),
        ({"oxygen": 40}, {}, "DOWN"),
        ({"oxygen": 35}, {"oxygen": 30}, "UP"),
        ({"y": 13, "oxygen": 30}, {}, "NOOP"),  # breathe
        ({"y": 13, "oxygen": 63}, {}, "DOWN"),
    ],
)
def test_the_captain_does_what_the_scene_asks_for(scene, skill, action):
    assert decide(memory(**scene), **skill) == action


@pytest.mark.parametrize(
    "scene",
    [
        {"enemies": 4, "at": 65, "kind": 0},  # 13 pixels away, and coming
        {"enemies": 4, "at": 91, "kind": 8},
        {"freight": 48, "kind": 5},  # missiles, 30 pixels away
        {"freight": 108, "kind": 5},
    ],
)
def test_the_captain_steps_aside_from_what_is_near(scene):
    now = read(memory(**scene))
    x, y = Captain(Skill(), np.random.default_rng(0))._dodge(now, (0, 0))
    assert now.danger(now.x, now.y) > now.danger(now.x + 8 * x, now.y + 6 * y)


def test_a_captain_who_surfaces_goes_on_until_there_is_air():
    captain = Captain(Skill(), np.random.default_rng(0))
    assert captain(memory(oxygen=20)) == joystick((0, -1), fire=False)
    assert captain(memory(oxygen=60, y=40)) == joystick((0, -1), fire=False)
    assert captain(memory(oxygen=62, y=13)) == joystick((0, 1), fire=False)


def test_epsilon_is_the_share_of_random_actions():
    ram, still = memory(y=13, oxygen=30), joystick((0, 0), fire=False)
    captain = Captain(Skill(epsilon=0.5), np.random.default_rng(0))
    done = np.array([captain(ram) for _ in range(4_000)])
    assert (done != still).mean() == pytest.approx(0.5 * 17 / 18, abs=0.03)
    assert set(done) == set(range(18))


def test_what_is_done_at_random_is_recorded():
    pytest.importorskip("ale_py")
    episodes = Seaquest(steps=1, skills=[Skill(epsilon=1.0)]).read()
    assert episodes.observation.shape == (*episodes.reward.shape, 128)
    assert episodes.observation.dtype == np.uint8
    assert set(episodes.action) == set(range(18))
    assert episodes.reward.sum() < 300


def test_skills_are_part_of_the_key():
    pytest.importorskip("ale_py")
    keys = [Seaquest(skills=skills).key() for skills in (SKILLS[:1], SKILLS[1:2], [Skill()])]
    assert keys[0] != keys[1] != keys[2] != keys[0]
    assert Seaquest(skills=SKILLS).key() == Seaquest().key()


def test_what_cannot_be_played_is_one_sentence():
    with pytest.raises(ValueError, match=r"Skill: epsilon=1.5 is a fraction"):
        Skill(epsilon=1.5)
    with pytest.raises(ValueError, match=r"Seaquest: steps=9 at levels of skill \[\] cannot be"):
        Seaquest(steps=9, skills=[])


@pytest.mark.slow
def test_a_captain_in_a_rollout_earns_what_the_same_captain_earns_in_the_data():
    """Observations, the order of the actions and the beginning are those of the data."""
    pytest.importorskip("ale_py")
    steps, skill, order = 400, Skill(epsilon=0.02), AtariOrder()
    environment, captain = make(Seaquest.environment), Captain(skill, np.random.default_rng(5))
    seen, earned = environment.reset(seed=3)[0], 0.0
    for _ in range(steps):
        seen, reward, *_ = environment.step(captain(seen))
        earned += reward
    environment.close()
    again = Captain(skill, np.random.default_rng(5))

    def policy(window, uniform):
        return torch.from_numpy(order.places(np.array([again(window.observation[0, -1].numpy())])))

    spec = TrajectorySpec(
        *(Tokens(18), (128,), 4, steps, Seaquest.environment, (0.0,) * 128, (1.0,) * 128),
        order=order.actions,
    )
    returns = play(policy, spec, EpisodeBatch(torch.tensor([3]), torch.zeros(1))).returns
    assert returns.tolist() == [earned]
    assert earned > 150  # a whole game at random earns 70
