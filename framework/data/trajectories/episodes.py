"""Episodes: recorded runs of an environment in flat arrays, and their sources."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.precision import LARGEST

ARRAYS = ("observation", "action", "reward")
UNKNOWN = np.empty((0, 0), np.float32)  # chances of actions, of which only the outcome is known
ROUNDING = 1e-3  # by which probabilities may miss a sum of 1


class Origin(NamedTuple):
    """What errors call the place that episodes were read from."""

    file: str = ""  # quoted; "" where there is none
    row: str = ""  # how a row is written, with its name, its index from 0 on and its number
    names: Mapping[str, str] = {}  # of arrays, where they are not our own
    first: int = 0  # number of the first episode

    def place(self, name: str, row: int, length: NDArray[np.int64]) -> str:
        """Names a row of an array, with its episode and its step, counted from 0."""
        episode = int(np.searchsorted(np.cumsum(length), row, side="right"))
        step = row - int(length[:episode].sum())
        if not self.file:
            return f"The {name} of episode {episode} at step {step}"
        written = self.row.format(name=self.names.get(name, name), index=row, number=row + 1)
        return f"{self.file}: {written} (episode {self.first + episode}, step {step})"


NOWHERE = Origin()


class Episodes(NamedTuple):
    """Episodes, one after the other; a step is an observation, the action taken, the reward."""

    observation: NDArray[Any]  # [N, *observation], floats, or integers such as pixels (uint8)
    action: NDArray[Any]  # [N, ...], as the environment took them
    reward: NDArray[np.float64]  # [N]
    length: NDArray[np.int64]  # [episodes], steps of each
    chances: NDArray[np.float32] = UNKNOWN
    """What each action was drawn from, where that is known, `[N, ..., K]`: probabilities of the K
    choices, or of K equal cells of each component's range, in which all values are equally likely.
    """

    @classmethod
    def join(cls, episodes: Sequence[Episodes], names: Sequence[str] = ()) -> Episodes:
        """Concatenates episodes.

        Args:
            episodes: What to concatenate.
            names: What errors call each of them, such as quoted files.

        Raises:
            ValueError: If there are none, or they differ in the shape or the kind of a step.
        """
        if not episodes:
            raise ValueError("There are no episodes; check their source.")
        for name in ("observation", "action", "chances"):
            kinds: dict[str, int] = {}  # the first of each
            for k, part in enumerate(episodes):
                kinds.setdefault(_kind(getattr(part, name)), k)
            if len(kinds) > 1:
                (first, a), (second, b) = list(kinds.items())[:2]
                where = f" of {names[a]} and {names[b]}" if names else ""
                called = name if name == "chances" else f"{name}s"
                raise ValueError(
                    f"Episodes differ in the {called}{where} ({first} and {second}); read those "
                    "of one kind."
                )
        return cls(*map(np.concatenate, zip(*episodes, strict=True)))

    def checked(self, origin: Origin = NOWHERE) -> Episodes:
        """Returns itself if it is valid, with floats in single precision.

        Args:
            origin: What errors call the place that they were read from.

        Raises:
            ValueError: If arrays differ in length, hold no numbers, an episode is empty, or a
                value is not finite or too large for single precision.
        """
        where = f"{origin.file}: " if origin.file else ""
        steps = {name: len(getattr(self, name)) for name in ARRAYS}
        for name in ARRAYS:
            values = getattr(self, name)
            if values.dtype.kind not in "biuf":
                raise ValueError(
                    f"{where}the {name}s are of type {values.dtype}, not numbers; record arrays "
                    "of numbers of one type."
                )
        if len({*steps.values(), int(self.length.sum())}) > 1:
            raise ValueError(
                f"{where}Arrays of episodes differ in length ({_list(steps)}, and episodes of "
                f"{self.length.sum()} steps together); give one of each for every step, none for "
                "the state after the last one."
            )
        if not len(self.length) or self.length.min() < 1:
            empty = f" (number {int(self.length.argmin())})" if len(self.length) else ""
            raise ValueError(
                f"{where}There is an episode without steps{empty}, or none at all; leave it out."
            )
        self._require_chances(where)
        episodes = self._replace(reward=self.reward.reshape(len(self.reward), -1))
        if episodes.reward.shape[1] != 1:
            raise ValueError(
                f"{where}the rewards have the shape {self.reward.shape}; give one for every step."
            )
        for name in ARRAYS:
            self._refuse_infinite(name, origin)
        return self._replace(
            observation=_single(self.observation),
            action=_recorded(self.action),
            reward=episodes.reward[:, 0].astype(np.float64, copy=False),
        )

    def _require_chances(self, where: str) -> None:
        if not self.chances.size:
            return
        if len(self.chances) != len(self.action):
            raise ValueError(
                f"{where}chances has {len(self.chances)} rows, action {len(self.action)}; give "
                "what each action was drawn from, or leave the chances out."
            )
        valid = (self.chances >= 0) & (abs(self.chances.sum(-1, keepdims=True) - 1) < ROUNDING)
        if not valid.all():
            step = int(valid.reshape(len(valid), -1).all(1).argmin())
            raise ValueError(
                f"{where}the chances of the action at step {step} of all are no probabilities: "
                f"{self.chances[step].tolist()}; give numbers of at least 0 whose sum is 1."
            )

    def _refuse_infinite(self, name: str, origin: Origin) -> None:
        values = getattr(self, name)
        if values.dtype.kind != "f":  # integers are finite, and frames are gigabytes
            return
        finite = np.isfinite(values)
        if values.dtype.itemsize > 4:
            finite &= np.abs(values) <= LARGEST
        if not finite.all():
            step = int(finite.reshape(len(finite), -1).all(1).argmin())
            raise ValueError(
                f"{origin.place(name, step, self.length)} is NaN or infinite, or too large for "
                "single precision; correct the recording or leave the episode out."
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


def _kind(values: NDArray[Any]) -> str:
    """Describes the shape and the kind of the values of a step."""
    kind = {"b": "booleans", "i": "whole numbers", "u": "whole numbers", "f": "floats"}
    return f"{kind.get(values.dtype.kind, str(values.dtype))} of shape {values.shape[1:]}"


def _single(values: NDArray[Any]) -> NDArray[Any]:
    """Converts what PyTorch does not compute with to float32; bytes and integers stay."""
    stays = values.dtype.kind == "i" or values.dtype == np.uint8
    return values if stays else values.astype(np.float32, copy=False)


def _recorded(actions: NDArray[Any]) -> NDArray[Any]:
    """Converts actions to bool, int64 or float32."""
    match actions.dtype.kind:
        case "b":
            return actions
        case "f":
            return actions.astype(np.float32, copy=False)
        case _:
            return actions.astype(np.int64, copy=False)
