"""Films: the pictures of an environment during an episode, as an animated GIF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

RATE = 30  # pictures a second where the environment names no rate
TICK = 10  # milliseconds, of which the duration of a picture in a GIF is a multiple
SHORTEST = 20  # milliseconds; browsers slow down what is shorter


class FilmedEnvironment:
    """An environment that writes its pictures to a file when it is closed.

    Args:
        environment: The environment, whose `render` returns pictures `[height, width, 3]`.
        path: The GIF to write.
    """

    def __init__(self, environment: Any, path: Path) -> None:
        self.environment, self.path = environment, path
        self.action_space = environment.action_space
        self._pictures: list[Image.Image] = []

    def reset(self, **options: Any) -> Any:
        """Begins an episode."""
        begun = self.environment.reset(**options)
        self._shoot()
        return begun

    def step(self, action: Any) -> Any:
        """Acts."""
        taken = self.environment.step(action)
        self._shoot()
        return taken

    def close(self) -> None:
        """Closes the environment, and writes the film."""
        rate = self.environment.metadata.get("render_fps") or RATE
        self.environment.close()
        if self._pictures:
            first, *others = self._pictures
            duration = max(SHORTEST, round(1000 / rate / TICK) * TICK)
            first.save(
                self.path, save_all=True, append_images=others, duration=duration, loop=0
            )  # fmt: skip

    def _shoot(self) -> None:
        """Takes a picture, in 256 colors, which is all that a GIF holds."""
        self._pictures.append(Image.fromarray(self.environment.render()).quantize())
