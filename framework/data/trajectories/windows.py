"""Windows of episodes, padded on the left, and seeds of episodes to be played."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from components.data import EpisodeBatch, KnownTrajectoryBatch, TrajectoryBatch
from framework.data.mapped import MappedArray
from framework.data.module import Dataset
from framework.data.trajectories.actions import EncodedActions
from framework.data.trajectories.frames import Stacked
from framework.data.trajectories.orders import OrderedActions

Integers = NDArray[np.int64]


class Steps(NamedTuple):
    """The steps in some windows, `[B, T]` each."""

    where: Integers  # their places among the steps of all episodes; the first step on padding
    time: Integers  # since the beginning of the episode, 0 on padding
    mask: NDArray[np.bool_]  # False on padding
    wanted: NDArray[np.bool_]  # whether they are targets


class EpisodeWindows(Dataset):
    """Windows that end at some step of an episode and reach back `span` steps or to its beginning.

    Args:
        observation: Observations, all episodes one after the other, `[N, *observation]`.
        action: Actions, `[N, *shape]`.
        return_to_go: Sum of the rewards from each step to the end of its episode, `[N]`.
        first: Where each episode of this split begins, `[episodes]`.
        length: Its steps, `[episodes]`.
        span: Steps in a window.
    """

    def __init__(
        self,
        observation: MappedArray | Stacked,
        action: EncodedActions | OrderedActions,
        return_to_go: MappedArray,
        first: Integers,
        length: Integers,
        span: int,
    ) -> None:
        self.observation, self.action, self.return_to_go = observation, action, return_to_go
        self.first, self.length, self.span = first, length, span
        self.last = np.cumsum(self.count(length))  # windows up to and with each episode

    @abstractmethod
    def count(self, length: Integers) -> Integers:
        """Counts the windows in episodes of given lengths, `[episodes]`."""

    @abstractmethod
    def targets(self, rank: Integers, length: Integers) -> tuple[Integers, Integers]:
        """Returns which steps of a window are targets, given its rank in its episode, `[B]`.

        Returns:
            The first of them, and the step after the last, where the window ends.
        """

    def __len__(self) -> int:
        return int(self.last[-1])

    def steps(self, indices: Sequence[int]) -> Steps:
        """Finds the steps of windows."""
        index = np.asarray(indices)
        episode = np.searchsorted(self.last, index, side="right")
        length = self.length[episode]
        rank = index - (self.last[episode] - self.count(length))
        begin, end = self.targets(rank, length)
        step = end[:, None] + np.arange(-self.span, 0)
        mask = step >= 0
        time = np.where(mask, step, 0)
        return Steps(self.first[episode][:, None] + time, time, mask, step >= begin[:, None])

    def cut(self, steps: Steps) -> TrajectoryBatch:
        """Reads windows `[B, T]`."""
        where, time, mask, wanted = steps
        action = _cut(self.action, where, mask)
        return TrajectoryBatch(
            observation=_cut(self.observation, where, mask),
            action=action,
            return_to_go=_cut(self.return_to_go, where, mask),
            time=torch.from_numpy(time),
            mask=torch.from_numpy(mask),
            target=action,
            weight=torch.from_numpy(wanted.astype(np.float32)),
        )

    def __getitems__(self, indices: list[int]) -> TrajectoryBatch:
        """Cuts windows `[B, T]`."""
        return self.cut(self.steps(indices))


class TrainingWindows(EpisodeWindows):
    """For training: a window that ends at every step, and all of whose steps are targets."""

    def count(self, length: Integers) -> Integers:
        """As many windows as steps."""
        return length

    def targets(self, rank: Integers, length: Integers) -> tuple[Integers, Integers]:
        """Begins with the first step that is not padding."""
        return np.maximum(rank + 1 - self.span, 0), rank + 1


class CoveringWindows(EpisodeWindows):
    """For evaluation: windows in which every step is a target exactly once.

    They lie next to each other. The last one of an episode is not padded: it overlaps the one
    before, and the steps that it repeats are not targets.
    """

    def count(self, length: Integers) -> Integers:
        """As many windows as it takes to cover the episode."""
        return -(-length // self.span)

    def targets(self, rank: Integers, length: Integers) -> tuple[Integers, Integers]:
        """Begins where the window before ended."""
        return rank * self.span, np.minimum((rank + 1) * self.span, length)


class KnownWindows(Dataset):
    """For evaluation: windows together with what their actions were drawn from.

    Args:
        windows: The windows.
        chances: Probabilities of choices or cells at all steps, `[N, *support.shape, K]`.
    """

    def __init__(self, windows: EpisodeWindows, chances: MappedArray) -> None:
        self.windows, self.chances = windows, chances

    def __len__(self) -> int:
        return len(self.windows)

    def __getitems__(self, indices: list[int]) -> KnownTrajectoryBatch:
        """Cuts windows `[B, T]`."""
        steps = self.windows.steps(indices)
        chances = _cut(self.chances, steps.where, steps.mask)
        return KnownTrajectoryBatch(*self.windows.cut(steps), chances)


class EpisodeSeeds(Dataset):
    """Episodes to be played.

    Args:
        seeds: Seeds with which the environment is reset, the same for every return.
        returns: The returns on which the policy is conditioned, one after the other.
    """

    def __init__(self, seeds: range, returns: Sequence[float]) -> None:
        self.seeds, self.returns = seeds, returns

    def __len__(self) -> int:
        return len(self.seeds) * len(self.returns)

    def __getitems__(self, indices: list[int]) -> EpisodeBatch:
        """Returns seeds and returns, `[B]` each."""
        places = [divmod(index, len(self.seeds)) for index in indices]
        seed = torch.tensor([self.seeds[k] for _, k in places])
        return EpisodeBatch(seed, torch.tensor([float(self.returns[k]) for k, _ in places]))


def _cut(
    values: MappedArray | Stacked | EncodedActions | OrderedActions,
    where: Integers,
    mask: NDArray[np.bool_],
) -> torch.Tensor:
    """Reads values at `[B, T]`, 0 on padding."""
    read = values[where]
    read[~mask] = 0
    return torch.from_numpy(read)
