"""Who still answers after a collective has failed: ranks report to the store of the group."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import torch.distributed as dist

KEY = "overtone/{}/{}"  # of a topic and a rank
INTERVAL = 0.05  # seconds between two looks
READING = 1.0  # seconds that the host of the store leaves the others to read it


class RollCall:
    """Collects from each rank why it ended.

    Nothing is sent as long as a run is well. The store lives in rank 0, or in the agent of
    torchrun; where it is gone, so is its host.

    Args:
        patience: Seconds for which ranks that do not answer are waited for.
        topic: What they report; each has answers of its own.
    """

    def __init__(self, patience: float, topic: str = "ended") -> None:
        self.patience, self._topic = patience, topic
        self._rank, self._world = dist.get_rank(), dist.get_world_size()
        self._store: Any = dist.distributed_c10d._get_default_store()

    def report(self, reason: str) -> None:
        """Tells the others why this rank ends.

        Args:
            reason: One sentence.
        """
        with suppress(RuntimeError):  # the host of the store is gone: they will find out
            self._store.set(self._key(self._rank), reason)

    def answers(self, is_known_dead: Callable[[int], bool]) -> Mapping[int, str] | None:
        """Waits until every rank has reported, or has no more time to.

        Args:
            is_known_dead: Whether a rank, by its number, need not be waited for.

        Returns:
            What each rank said that answered, or None if the store is gone.
        """
        deadline = time.monotonic() + self.patience
        said: dict[int, str] = {}
        missing = set(range(self._world))
        try:
            while missing and time.monotonic() < deadline:
                for rank in sorted(missing):
                    if self._store.check([self._key(rank)]):
                        said[rank] = self._store.get(self._key(rank)).decode()
                missing -= {*said, *filter(is_known_dead, missing)}
                time.sleep(INTERVAL)
        except RuntimeError:
            return said if 0 in said else None
        if self._rank == 0:
            time.sleep(READING)
        return said

    def _key(self, rank: int) -> str:
        return KEY.format(self._topic, rank)
