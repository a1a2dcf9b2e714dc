"""Archives: episodes in memory-mapped files, with statistics that are computed once."""

from __future__ import annotations

import json
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.supports import Interval, Tokens
from framework.data.cache import cached
from framework.data.mapped import MappedArray
from framework.data.trajectories.actions import EncodedActions, recorded_space
from framework.data.trajectories.environments import Environment
from framework.data.trajectories.episodes import Episodes, EpisodeSource, returns_to_go
from framework.data.trajectories.frames import Stacked
from framework.data.trajectories.spaces import ActionSpace

Integers = NDArray[np.int64]
SPLIT_SEED = 0  # the same episodes are held out for every seed of training
DEGENERATE = 1e-6  # an observation that varies less is constant: its deviation is set to 1
PIXELS = (0.0,), (255.0,)  # mean and deviation of images, which are bytes of one scale


class Facts(NamedTuple):
    """Statistics of the training episodes and of the environment."""

    mean: tuple[float, ...]  # of each component of the observations, or one of all
    std: tuple[float, ...]  # of the same, positive
    random_return: float  # mean return of random actions, nan without an environment


class Archive:
    """Episodes of a source, prepared when first read and kept in the cache.

    Args:
        source: Where the episodes come from.
        holdout: Fraction of the episodes that is held out for validation, and again for the test;
            at least one each.
        horizon: Longest episode that is played, in steps; as long as the environment allows if not
            given.
    """

    def __init__(self, source: EpisodeSource, holdout: float, horizon: int | None = None) -> None:
        self.source, self.holdout, self._horizon = source, holdout, horizon

    @cached_property
    def folder(self) -> Path:
        """The directory of the arrays."""
        return cached("episodes", self.source.key(), lambda f: _save(self.source.read(), f))

    def mapped(self, name: str) -> MappedArray:
        """Opens the array `observation`, `action` or `return_to_go`, `[N, ...]`."""
        return MappedArray(self.folder / f"{name}.npy")

    @property
    def observation(self) -> MappedArray | Stacked:
        """Observations at every step, `[N, *observation]`."""
        recorded, stack = self.mapped("observation"), self.source.stack
        return Stacked(recorded, self.first, stack) if stack else recorded

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of an observation."""
        recorded, stack = self.mapped("observation").array.shape[1:], self.source.stack
        return (stack, *recorded) if stack else recorded

    @cached_property
    def length(self) -> Integers:
        """Steps of each episode."""
        return np.asarray(np.load(self.folder / "length.npy"))

    @cached_property
    def first(self) -> Integers:
        """Where each episode begins."""
        return np.cumsum(self.length) - self.length

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """Return of each training episode."""
        return self.mapped("return_to_go")[self.first[self.split["train"]]].astype(np.float64)

    @property
    def horizon(self) -> int:
        """Longest episode that is played, in steps."""
        if self._horizon is not None:
            return self._horizon
        limit = self.environment.limit if self.environment else 0
        return limit or int(self.length.max())

    @cached_property
    def environment(self) -> Environment | None:
        """The environment to play in.

        Raises:
            ValueError: If it cannot be made or played, or observations differ from its own in
                shape.
        """
        if not self.source.environment:
            return None
        environment = Environment(self.source.environment)
        if self.shape != environment.observation:
            raise ValueError(
                f"{type(self.source).__name__}: observations have the shape {self.shape}, those "
                f"of {environment.name} {environment.observation}; name the one they are from."
            )
        environment.try_out()
        return environment

    @cached_property
    def space(self) -> ActionSpace:
        """The space of the actions: that of the environment, or else that of the episodes.

        Raises:
            ValueError: If an action of the episodes is impossible.
        """
        actions, source = self.mapped("action").array, type(self.source).__name__
        known = self.environment
        space = recorded_space(actions, source) if known is None else known.space
        space.require(actions, self.first, source)
        return space

    @property
    def action(self) -> EncodedActions:
        """Actions at every step as outcomes of the support, `[N, *support.shape]`."""
        return EncodedActions(self.mapped("action"), self.space)

    @cached_property
    def chances(self) -> MappedArray | None:
        """What actions were drawn from, `[N, *support.shape, K]`; None if that is unknown.

        Raises:
            ValueError: If they are not those of the actions.
        """
        if not (self.folder / "chances.npy").exists():
            return None
        chances = self.mapped("chances")
        support, (_, *shape, size) = self.support, chances.array.shape
        known = (*support.shape, size) if isinstance(support, Interval) else (support.size,)
        if (*shape, size) != known:
            raise ValueError(
                f"{type(self.source).__name__}: the chances of an action have the shape "
                f"{(*shape, size)}, the actions are {support}; give one for each choice, or for "
                "each cell of each component."
            )
        return chances

    @cached_property
    def support(self) -> Tokens | Interval:
        """The possible actions.

        Raises:
            ValueError: If an action of the episodes is impossible.
        """
        return self.space.support(self.mapped("action").array)

    @cached_property
    def split(self) -> dict[str, Integers]:
        """The numbers of the episodes of "train", "val" and "test".

        Raises:
            ValueError: If there are too few.
        """
        count = len(self.length)
        held = max(1, round(self.holdout * count))
        if count < 2 * held + 1:
            raise ValueError(
                f"{type(self.source).__name__}: {count} episodes cannot be split into training, "
                "validation and test; give at least 3."
            )
        order = np.random.default_rng(SPLIT_SEED).permutation(count)
        parts = {"val": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
        return {name: np.sort(part) for name, part in parts.items()}

    @cached_property
    def facts(self) -> Facts:
        """Statistics, computed once and kept in the cache."""
        key: dict[str, object] = {
            **self.source.key(),
            "holdout": self.holdout,
            "environment": self.source.environment,
            "horizon": self._horizon,
            "gymnasium": version("gymnasium"),
        }
        text = (cached("episode_facts", key, self._measure) / "facts.json").read_text()
        mean, std, random_return = json.loads(text)
        return Facts(tuple(mean), tuple(std), random_return)

    def _measure(self, folder: Path) -> None:
        train, environment = self.split["train"], self.environment
        spans = zip(self.first[train], self.length[train], strict=True)
        mean, std = _scale(self.mapped("observation"), [(a, a + n) for a, n in spans])
        random_return = float("nan")
        if environment is not None:
            random_return = environment.random_return(self.horizon)
        facts = Facts(mean, std, random_return)
        (folder / "facts.json").write_text(json.dumps(facts))


def _save(episodes: Episodes, folder: Path) -> None:
    episodes = episodes.checked()
    to_go = returns_to_go(episodes.reward, episodes.length)
    np.save(folder / "observation.npy", episodes.observation)
    np.save(folder / "action.npy", episodes.action)
    np.save(folder / "return_to_go.npy", to_go.astype(np.float32))
    np.save(folder / "length.npy", episodes.length)
    if episodes.chances.size:
        np.save(folder / "chances.npy", episodes.chances)


def _scale(values: MappedArray, spans: list[tuple[int, int]]) -> tuple[tuple[float, ...], ...]:
    """Computes mean and deviation of each component over spans of steps, in two passes."""
    if values.array.dtype == np.uint8 and values.array.ndim > 2:
        return PIXELS
    steps = sum(end - begin for begin, end in spans)
    parts = [slice(begin, end) for begin, end in spans]
    mean = sum(_flat(values[part]).sum(0) for part in parts) / steps
    variance = sum(((_flat(values[part]) - mean) ** 2).sum(0) for part in parts) / steps
    std = np.sqrt(variance)
    return tuple(mean.tolist()), tuple(np.where(std > DEGENERATE, std, 1.0).tolist())


def _flat(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1).astype(np.float64)
