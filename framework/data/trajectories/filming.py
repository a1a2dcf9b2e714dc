"""AtariEpisodes: Atari games played from their memory and recorded as frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import numpy as np

from framework.data.trajectories.episodes import Episodes, EpisodeSource
from framework.data.trajectories.frames import STACK
from framework.data.trajectories.making import make
from framework.data.trajectories.playing import Played

MEMORY, FRAMES = "-ram", "-frames"  # suffixes of ids, by kind of observation


class AtariEpisodes(EpisodeSource):
    """The frames of a game, 84 x 84 pixels, while a player acts on its memory.

    Actions and rewards are those of the player's own episodes.

    Args:
        player: The player, in an environment such as `overtone/Seaquest-ram`.

    Raises:
        ValueError: If the player does not observe the memory of an Atari game.
    """

    stack = STACK

    def __init__(self, player: Played) -> None:
        if not player.environment.endswith(MEMORY):
            raise ValueError(
                f"AtariEpisodes: {type(player).__name__} plays {player.environment}, which cannot "
                "be filmed; use a player that observes the memory of a game, such as Seaquest."
            )
        self.player = player
        self.environment = player.environment.removesuffix(MEMORY) + FRAMES

    def key(self) -> dict[str, object]:
        """Names the player and its options."""
        return {"filmed": self.player.key()}

    def read(self) -> Episodes:
        """Plays, and records a frame of every step."""
        with closing(make(self.environment)) as game:
            from framework.data.trajectories.atari import Camera  # needs ale-py, as the game does

            camera = Camera(game)
            episodes = self.player.play(camera)
        return episodes._replace(observation=np.stack(camera.pictures))


class RandomAtari(Played):
    """Any Atari game, played at random.

    Args:
        game: Its name, such as `Seaquest` or `BankHeist`.
        steps: Steps of four frames at least; the last episode is played to its end.
        seed: Seed of the beginnings and of the actions.

    Raises:
        ValueError: If there is no step or no such game, or ale-py is missing.
    """

    packages = (*Played.packages, "ale-py")

    def __init__(self, game: str = "Seaquest", steps: int = 20_000, seed: int = 0) -> None:
        super().__init__(steps, [game], seed)
        self.environment = f"overtone/{game}{MEMORY}"

    def player(self, level: str, random: np.random.Generator) -> Callable[[Any], int]:
        """Makes a player that ignores observations."""
        with closing(make(self.environment)) as game:
            choices = int(game.action_space.n)
        return lambda seen: int(random.integers(choices))
