"""Seaquest: a scripted player that shoots, dodges, rescues divers and breathes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.trajectories.playing import Played

Bytes = NDArray[np.uint8]
Position = tuple[int, int]

# Addresses in the memory of the console; those of lanes are the first of four.
OBJECT_X, OBJECT_SET, OBJECT_KIND = 30, 36, 89  # of up to three enemies in a row
FREIGHT_X = 71  # a diver, or the missile of an enemy submarine
DIVERS, OWN_X, FACING, OWN_Y, OXYGEN = 62, 70, 86, 97, 102

LANES = (105, 81, 57, 33)  # y of the four lanes in which everything swims
SURFACE, SKIN = 13, 31  # y at which there is air, and below which to hunt
LEFT, RIGHT = 21, 134  # x between which the submarine moves
MIDDLE = (78, 72)
SPACING = 16  # pixels between enemies in line
FULL_TANK = 62  # oxygen with which to leave the surface; the tank holds 64
CREW = 6  # divers that a surfacing submarine is rewarded for
RANGE = 30  # pixels to keep from an enemy that is shot at
MOVES = ((0, 0), (0, -1), (1, 0), (-1, 0), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))


@dataclass(frozen=True)
class Skill:
    """How well an episode is played.

    Args:
        oxygen: Oxygen of 64 at which to surface from just below; more of it deeper down.
        divers: Whether to collect divers.
        epsilon: Fraction of the actions that are drawn at random.

    Raises:
        ValueError: If `epsilon` is not between 0 and 1.
    """

    oxygen: int = 20
    divers: bool = True
    epsilon: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.epsilon <= 1:
            raise ValueError(
                f"Skill: epsilon={self.epsilon} is a fraction of the actions; use one from 0 to 1."
            )


SKILLS = (
    Skill(epsilon=0.02),
    Skill(epsilon=0.05),
    Skill(epsilon=0.2),
    Skill(epsilon=0.5),
    Skill(epsilon=1.0),
    Skill(divers=False, epsilon=0.02),
    Skill(oxygen=30, epsilon=0.02),
)
"""From an expert to random actions, and two with wrong priorities.

All act at random sometimes: the game itself is deterministic, so episodes would repeat.
"""


class Seaquest(Played):
    """A submarine that is played from the 128 bytes of memory of an Atari console.

    It hunts the cheapest target, fires at enemies in its lane, evades what comes too near, and
    surfaces when air runs out or six divers are aboard. All 18 actions are used. At the
    seven levels of skill returns reach from 50 to 9000.

    Args:
        steps: Steps of four frames at least; an episode has 200 to 4000.
        skills: Levels of skill; seven from an expert to acting at random if not given.
        seed: Seed of the beginnings and of random actions.

    Raises:
        ValueError: If there is no step or no level, or ale-py is missing.
    """

    environment = "overtone/Seaquest-ram"
    packages = (*Played.packages, "ale-py")

    def __init__(
        self, steps: int = 20_000, skills: Sequence[Skill] | None = None, seed: int = 0
    ) -> None:
        chosen = SKILLS if skills is None else skills
        super().__init__(steps, [asdict(skill) for skill in chosen], seed)

    def player(self, level: dict[str, Any], random: np.random.Generator) -> Callable[[Bytes], int]:
        """Makes the captain of one episode."""
        return Captain(Skill(**level), random)


class Enemy(NamedTuple):
    """A shark or a submarine, which swims straight ahead."""

    x: int
    y: int
    heading: int  # -1 to the left, 1 to the right

    def threatens(self, x: int, y: int) -> int:
        """Rates the danger of a position: 0, 3 or 6."""
        if abs(self.y - y) >= 13:
            return 0
        ahead = (x - self.x) * self.heading  # pixels until it is there; negative if it has passed
        return 6 if abs(ahead) < 16 else 3 if 0 < ahead < 34 else 0


class Scene(NamedTuple):
    """The state of the game, read from memory."""

    x: int
    y: int
    facing: int  # -1 to the left, 1 to the right
    oxygen: int
    divers: int  # aboard
    enemies: list[Enemy]
    missiles: list[Position]
    swimmers: list[Position]  # divers in the water

    @property
    def targets(self) -> list[Enemy]:
        """Enemies on the screen."""
        return [enemy for enemy in self.enemies if 0 <= enemy.x <= 158]

    def danger(self, x: int, y: int) -> int:
        """Rates the danger of a position from all enemies and missiles."""
        near = sum(abs(my - y) < 10 and abs(mx - x) < 34 for mx, my in self.missiles)
        return 3 * near + sum(enemy.threatens(x, y) for enemy in self.enemies)


class Captain:
    """Plays an episode; remembers whether the submarine is on its way up.

    Args:
        skill: How well it plays.
        random: Source of random actions.
    """

    def __init__(self, skill: Skill, random: np.random.Generator) -> None:
        self.skill, self.random = skill, random
        self.surfacing = False

    def __call__(self, memory: Bytes) -> int:
        """Decides on an action, 0 to 17."""
        if self.random.random() < self.skill.epsilon:
            return int(self.random.integers(18))
        return joystick(*self.intention(read(memory)))

    def intention(self, scene: Scene) -> tuple[Position, bool]:
        """Chooses a move, and whether to fire."""
        if scene.oxygen < FULL_TANK and scene.y <= SURFACE:
            return (0, 0), False  # the tank fills
        if scene.oxygen <= self.skill.oxygen + (scene.y - SURFACE) // 6 or scene.divers >= CREW:
            self.surfacing = True
        if scene.y <= SURFACE:
            self.surfacing = False
        move, fire = self._plan(scene)
        return self._dodge(scene, move), fire

    def _plan(self, scene: Scene) -> tuple[Position, bool]:
        """Plans a move, and whether to fire."""
        if self.surfacing:
            return (0, -1), False
        x, y = self._goal(scene)
        move = toward((min(max(x, LEFT), RIGHT), max(y, SKIN)), scene)
        in_line = [enemy for enemy in scene.targets if abs(enemy.y - scene.y) <= 4]
        if not in_line:
            return move, False
        nearest = min(in_line, key=lambda enemy: abs(enemy.x - scene.x))
        return aim(nearest, scene, move), True

    def _goal(self, scene: Scene) -> Position:
        """Chooses the cheapest target: a diver, or a position from which to shoot at an enemy."""
        options: list[tuple[float, Position]] = []
        for enemy in scene.targets:
            away = abs(enemy.x - scene.x)
            side = 1 if scene.x > enemy.x else -1
            x = scene.x if away >= RANGE else scene.x + RANGE * side
            cost = 1.5 * abs(enemy.y - scene.y) + 0.5 * max(0, RANGE - away)
            options.append((cost, (x, enemy.y)))
        if self.skill.divers and scene.divers < CREW:
            for x, y in scene.swimmers:
                cost = abs(x - scene.x) + 1.5 * abs(y - scene.y) - 25
                options.append((cost, (x, y)))
        return min(options)[1] if options else MIDDLE

    def _dodge(self, scene: Scene, plan: Position) -> Position:
        """Chooses the least dangerous move, and among equals the one most like the plan."""

        def cost(move: Position) -> tuple[int, int]:
            x = min(max(scene.x + 8 * move[0], LEFT), RIGHT)
            y = min(max(scene.y + 6 * move[1], SURFACE), 108)
            idle = 2 if y < SKIN - 3 <= scene.y and not self.surfacing else 0
            strange = abs(move[0] - plan[0]) + abs(move[1] - plan[1])
            return scene.danger(x, y) + idle, strange

        return min(MOVES, key=cost)


def read(memory: Bytes) -> Scene:
    """Reads the memory."""
    byte = [int(value) for value in memory]
    enemies: list[Enemy] = []
    missiles: list[Position] = []
    swimmers: list[Position] = []
    for lane, y in enumerate(LANES):
        kind = byte[OBJECT_KIND + lane]
        heading = -1 if kind & 8 else 1
        for place in range(3):
            if byte[OBJECT_SET + lane] >> (2 - place) & 1:
                x = (byte[OBJECT_X + lane] + SPACING * place) % 256
                x = x - 256 if x > 225 else x  # it comes in from the left
                if x <= 190:
                    enemies.append(Enemy(x, y, heading))
        if 0 < byte[FREIGHT_X + lane] < 160:
            submarine = 3 < kind % 8 < 7
            (missiles if submarine else swimmers).append((byte[FREIGHT_X + lane], y))
    facing = 1 if byte[FACING] == 0 else -1
    own = byte[OWN_X], byte[OWN_Y], facing, byte[OXYGEN], byte[DIVERS]
    return Scene(*own, enemies, missiles, swimmers)


def toward(goal: Position, scene: Scene) -> Position:
    """Returns the move toward a position, none if the submarine is there."""
    x, y = goal[0] - scene.x, goal[1] - scene.y
    return int(np.sign(x)) * (abs(x) > 4), int(np.sign(y)) * (abs(y) > 2)


def aim(enemy: Enemy, scene: Scene, move: Position) -> Position:
    """Turns to an enemy in line, and does not swim away from one that is far."""
    side = 1 if enemy.x > scene.x else -1
    if scene.facing != side:
        return side, move[1]
    flees = move[0] == -side and abs(enemy.x - scene.x) >= 20
    return (0 if flees else move[0]), move[1]


def joystick(move: Position, fire: bool) -> int:
    """Numbers a move, with or without the button, as the Arcade Learning Environment does."""
    number = MOVES.index(move)
    if fire:
        return number + 9 if number else 1
    return number + 1 if number else 0
