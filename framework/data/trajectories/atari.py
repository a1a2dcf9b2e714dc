"""Atari games as in papers: four frames per step, and the whole game until it is over.

Imported when gymnasium makes one of them, by the ids that `environments.make` knows.
"""

from __future__ import annotations

from typing import Any, Literal

import ale_py
import gymnasium
import numpy as np
from ale_py import roms
from ale_py.env import AtariEnv, AtariEnvStepMetadata
from gymnasium.spaces import Box
from numpy.typing import NDArray

from framework.data.trajectories.frames import STACK, Frames, grown, shrink, unseen

ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # otherwise it prints a greeting

SKIP = 4  # frames that an action lasts
NOOPS = 30  # frames at most that pass before an episode begins
FRAMES = 108_000  # frames of an episode at most: half an hour


class AtariRam(AtariEnv):
    """A game whose observations are the 128 bytes of memory.

    An episode begins after 0 to 30 frames without an action, drawn from its seed; nothing else is
    random. A lost life does not end it. Actions are those of the game, in the order of the Arcade
    Learning Environment.

    Args:
        game: Its name, such as `Seaquest` or `BankHeist`.
        render_mode: `rgb_array` where the screen is to be filmed.

    Raises:
        ValueError: If there is no such game.

    Source: Machado et al., "Revisiting the Arcade Learning Environment" (arXiv:1709.06009), from
    which it departs by a random beginning instead of sticky actions, as Chen et al., "Decision
    Transformer" (arXiv:2106.01345), do.
    """

    def __init__(self, game: str, render_mode: Literal["rgb_array"] | None = None) -> None:
        super().__init__(
            game=_rom(game),
            render_mode=render_mode,
            obs_type="ram",
            frameskip=SKIP,
            repeat_action_probability=0.0,
            max_num_frames_per_episode=FRAMES,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], AtariEnvStepMetadata]:
        """Begins an episode."""
        gymnasium.Env.reset(self, seed=seed)  # without loading the game again, which is slower
        self.ale.reset_game()
        for _ in range(int(self.np_random.integers(NOOPS + 1))):
            self.ale.act(ale_py.Action.NOOP)
        return self.ale.getRAM(), self._get_info()


class AtariFrames(AtariRam):
    """A game whose observations are the last four frames, 84 x 84 pixels in shades of gray.

    A frame is the lighter of the last two screens of a step at every pixel, since some games draw
    an object on every second screen only. Before the first frame the screen was black.

    Args:
        game: Its name, such as `Seaquest` or `BankHeist`.
        render_mode: `rgb_array` where the screen is to be filmed.

    Raises:
        ValueError: If there is no such game.

    Source: Mnih et al., "Human-level control through deep reinforcement learning", Nature 518
    (2015), methods, preprocessing.
    """

    def __init__(self, game: str, render_mode: Literal["rgb_array"] | None = None) -> None:
        super().__init__(game, render_mode)
        self.seen = unseen(STACK)
        self.observation_space = Box(0, 255, self.seen.shape, np.uint8)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frames, AtariEnvStepMetadata]:
        """Begins an episode."""
        _, info = super().reset(seed=seed, options=options)
        self.seen = grown(unseen(STACK), shrink(self.ale.getScreenGrayscale()))
        return self.seen, info

    def step(
        self, action: int | NDArray[Any]
    ) -> tuple[Frames, float, bool, bool, AtariEnvStepMetadata]:
        """Acts for four frames."""
        chosen, reward = self._action_set[int(action)], 0.0
        screens: list[Frames] = []
        for _ in range(SKIP):
            reward += self.ale.act(chosen)
            screens = [*screens[-1:], self.ale.getScreenGrayscale()]
        self.seen = grown(self.seen, shrink(np.maximum(*screens)))
        over = self.ale.game_over(with_truncation=False)
        return self.seen, reward, over, self.ale.game_truncated(), self._get_info()


class Camera(gymnasium.Wrapper):  # type: ignore[misc]  # gymnasium is not followed
    """Shows a player the memory of a game, and records a frame whenever it acts.

    Args:
        environment: The game, observed as frames.
    """

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.pictures: list[Frames] = []  # [84, 84] each, one for every step
        self.seen = unseen(STACK)

    def reset(self, **options: Any) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begins an episode."""
        self.seen, info = self.env.reset(**options)
        return self.unwrapped.ale.getRAM(), info

    def step(self, action: int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Keeps the frame before the action, and acts."""
        self.pictures.append(self.seen[-1])
        self.seen, *outcome = self.env.step(action)
        return self.unwrapped.ale.getRAM(), *outcome


def _rom(game: str) -> str:
    """Finds the name of a game in ale-py: `bank_heist` for `BankHeist`."""
    games = {name.title().replace("_", ""): name for name in roms.get_all_rom_ids()}
    if game not in games:
        raise ValueError(f"There is no Atari game {game!r}; give its name, such as Seaquest.")
    return str(games[game])
