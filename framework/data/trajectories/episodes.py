"""Episodes: recorded runs of an environment in flat arrays, and their sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Episodes(NamedTuple):
    """Episodes, one after the other; a step is an observation, the action taken, the reward."""

    observation: NDArray[Any]  # [N, *observation], floats, or integers such as pixels (uint8)
    action: NDArray[Any]  # [N], integers from 0 on; or [N, *shape], floats
    reward: NDArray[np.float64]  # [N]
    length: NDArray[np.int64]  # [episodes], steps of each

    @classmethod
    def join(cls, episodes: Sequence[Episodes]) -> Episodes:
        """Concatenates episodes.

        Raises:
            ValueError: If there are none, or they differ in the shape of a step.
        """
        if not episodes:
            raise ValueError("There are no episodes; check their source.")
        for name in ("observation", "action"):
            shapes = sorted({getattr(part, name).shape[1:] for part in episodes})
            if len(shapes) > 1:
                raise ValueError(
                    f"Episodes differ in the shape of an {name} ({shapes[0]} and {shapes[1]}); "
                    "read those of one kind."
                )
        return cls(*map(np.concatenate, zip(*episodes, strict=True)))

    def checked(self) -> Episodes:
        """Returns itself if it is valid, with floats in single precision.

        Raises:
            ValueError: If arrays differ in length, an episode is empty, or a value is not finite.
        """
        steps = {name: len(getattr(self, name)) for name in ("observation", "action", "reward")}
        if len({*steps.values(), int(self.length.sum())}) > 1:
            raise ValueError(
                f"Arrays of episodes differ in length ({_list(steps)}, and episodes of "
                f"{self.length.sum()} steps together); give one of each for every step."
            )
        if not len(self.length) or self.length.min() < 1:
            raise ValueError("There is an episode without steps, or none at all; leave it out.")
        for name in steps:
            self._refuse_infinite(name)
        whole = np.issubdtype(self.action.dtype, np.integer)
        return self._replace(
            observation=_single(self.observation),
            action=self.action.astype(np.int64 if whole else np.float32),
            reward=self.reward.astype(np.float64),
        )

    def _refuse_infinite(self, name: str) -> None:
        values = getattr(self, name)
        if values.dtype.kind != "f":  # integers are finite, and frames are gigabytes
            return
        finite = np.isfinite(values)
        if not finite.all():
            step = int(finite.reshape(len(finite), -1).all(1).argmin())
            episode = int(np.searchsorted(np.cumsum(self.length), step, side="right"))
            within = step - int(self.length[:episode].sum())
            raise ValueError(
                f"The {name} of episode {episode} at step {within} is NaN or infinite; "
                "correct the recording or leave the episode out."
            )


class EpisodeSource(ABC):
    """Where episodes come from."""

    environment: str  # gymnasium id of the environment to play in, "" where there is none
    stack: int = 0  # recorded frames in one observation; 0: observations are recorded whole

    @abstractmethod
    def key(self) -> dict[str, object]:
        """Identifies the content in plain values: equal keys mean the same episodes."""

    @abstractmethod
    def read(self) -> Episodes:
        """Reads all episodes."""


def returns_to_go(reward: NDArray[np.float64], length: NDArray[np.int64]) -> NDArray[np.float64]:
    """Sums the rewards `[N]` from each step to the end of its episode, undiscounted."""
    parts = np.split(reward, np.cumsum(length)[:-1])
    return np.concatenate([part[::-1].cumsum()[::-1] for part in parts])


def _list(steps: dict[str, int]) -> str:
    return ", ".join(f"{name} has {count}" for name, count in steps.items())


def _single(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32) if values.dtype.kind == "f" else values
