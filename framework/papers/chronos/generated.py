"""Generated series: each is a function of its number and a seed, drawn by several processes."""

from __future__ import annotations

import multiprocessing
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from framework.data.series.panels import Panel, PanelSource

PIECE = 128  # series that are drawn, and written, together


class Generated(PanelSource):
    """Draws series that were never recorded.

    They are written to the cache as they are drawn, so memory does not limit their number, and
    they are the same for any number of processes.

    Args:
        number: Number of series.
        seed: Seed of the draws.
        workers: Processes that draw; 1 draws in the calling one.

    Raises:
        ValueError: If nothing would be drawn.
    """

    def __init__(self, number: int, seed: int, workers: int) -> None:
        if number < 1 or workers < 1:
            raise ValueError(
                f"{type(self).__name__} draws nothing with number={number}, workers={workers}; "
                "use at least 1 of each."
            )
        self.number, self.seed, self.workers = number, seed % 2**63, workers

    @abstractmethod
    def draw_piece(self, numbers: range) -> Sequence[NDArray[np.float64]]:
        """Draws the series of some numbers, at most `PIECE`; NaN where a value is missing.

        Numbers begin at a multiple of `PIECE`, and a series does not depend on how many follow.
        """

    def generators(self, numbers: range) -> list[np.random.Generator]:
        """Returns a random generator for each series."""
        return [np.random.default_rng((self.seed, number)) for number in numbers]

    def open(self) -> None:
        """Opens the sources of the draws, once, before this object is sent to other processes."""

    def pieces(self) -> Iterator[Panel]:
        """Draws the series, in the order of their numbers."""
        self.open()
        begins = range(0, self.number, PIECE)
        if self.workers == 1:
            for begin in begins:
                yield self._piece(begin)
            return
        # Children use no threads of torch, so they may be forks of a process that does.
        with ProcessPoolExecutor(
            self.workers, multiprocessing.get_context(), torch.set_num_threads, (1,)
        ) as pool:
            yield from self._in_order(pool, begins)

    def _in_order(self, pool: Executor, begins: Sequence[int]) -> Iterator[Panel]:
        """Yields pieces in their order; the queue is short, so a slow reader slows the writers."""
        waiting: deque[Future[Panel]] = deque()
        for begin in begins:
            waiting.append(pool.submit(self._piece, begin))
            if len(waiting) > 2 * self.workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def read(self) -> Panel:
        """Draws all series into memory."""
        panels = list(self.pieces())
        series = (zip(panel.name, panel.series(), strict=True) for panel in panels)
        drawn = {str(name): values for part in series for name, values in part}
        return Panel.of(drawn, dtype=np.float32)

    def origins(self) -> Sequence[PanelSource]:
        """Returns no source: nothing was recorded."""
        return []

    def _piece(self, begin: int) -> Panel:
        numbers = range(begin, min(begin + PIECE, self.number))
        with _one_thread():
            drawn = self.draw_piece(numbers)
        names = map(str, numbers)
        return Panel.of(dict(zip(names, drawn, strict=True)), dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Computes on one thread, as worker processes do: more threads round differently."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
