"""StreamedBatches: training batches of several readers, divided among processes and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info
from torch.utils.data._utils import worker

from components.data import TokenBatch
from framework.data.tokens.streaming.readers import Bookmark, Reader, Window
from framework.replacing import replaced


@dataclass(frozen=True)
class Division:
    """Which windows a process serves.

    Window n of all is the next one of reader n modulo `readers`. It belongs to process n modulo
    `world`, and batch k has `batch_size` of them from number k · `batch_size` on: the batches
    depend neither on how many processes there are nor on their workers.

    Args:
        readers: Number of readers, a multiple of `world` times workers.
        batch_size: Windows of a batch of all processes.
        rank: Number of this process.
        world: Number of processes, a divisor of `batch_size`.
    """

    readers: int
    batch_size: int
    rank: int
    world: int

    def windows(self, reader: int, step: int) -> int:
        """Counts the windows of a reader in the batches before a step."""
        return (step * self.batch_size - reader + self.readers - 1) // self.readers


class StreamedBatches:
    """Training batches without end, from the trainer's step on.

    Args:
        reader: Makes a reader of a number.
        division: Which windows this process serves.
        workers: Processes that read.
        start: Function that returns the step (micro-batch) to begin with.
        bookmarks: Places near that step, of some readers or of none.
        pinned: Whether batches are in pinned memory, from which a GPU copies them while it works.
    """

    length = None  # there is no end

    def __init__(
        self,
        reader: Callable[[int], Reader],
        division: Division,
        workers: int,
        start: Callable[[], int],
        bookmarks: Mapping[int, Bookmark],
        pinned: bool = False,
    ) -> None:
        self.reader, self.division, self.workers, self.start = reader, division, workers, start
        self.pinned = pinned
        self.bookmarks = {number: [mark] for number, mark in bookmarks.items()}

    def __iter__(self) -> Iterator[TokenBatch]:
        return self.batches(self.start())

    def batches(self, first: int) -> Iterator[TokenBatch]:
        """Yields the batches from a step on."""
        marks = {number: self.mark(number, first) for number in self.bookmarks}
        windows = Windows(self.reader, self.division, first, marks)
        loader: Iterator[Window] = iter(
            DataLoader(windows, batch_size=None, num_workers=self.workers, collate_fn=_identity)
        )
        part = self.division.batch_size // self.division.world
        while group := list(islice(loader, part)):
            self._note(group)
            ids = torch.from_numpy(np.stack([window.ids for window in group]))
            weight = torch.ones(len(ids), ids.shape[1] - 1)
            fields = (x.contiguous() for x in (ids[:, :-1], ids[:, 1:], weight))
            yield TokenBatch(*(x.pin_memory() if self.pinned else x for x in fields))

    def mark(self, reader: int, step: int) -> Bookmark | None:
        """Returns the last known place of a reader that is not behind a step."""
        wanted = self.division.windows(reader, step)
        known = [mark for mark in self.bookmarks.get(reader, ()) if mark.windows <= wanted]
        return known[-1] if known else None

    def _note(self, group: list[Window]) -> None:
        """Keeps the places where blocks begin, and drops those before the step that is done."""
        for window in group:
            if window.bookmark is not None:
                known = self.bookmarks.setdefault(window.reader, [])
                known.append(window.bookmark)
                done = self.mark(window.reader, self.start())
                if done is not None:
                    del known[: known.index(done)]


class Windows(IterableDataset[Window]):
    """The windows of a process, each read by one of its workers.

    Args:
        reader: Makes a reader of a number.
        division: Which windows the process serves.
        step: The batch to begin with.
        bookmarks: Places of readers not behind that batch.
    """

    def __init__(
        self,
        reader: Callable[[int], Reader],
        division: Division,
        step: int,
        bookmarks: Mapping[int, Bookmark | None],
    ) -> None:
        self.reader, self.division, self.step = reader, division, step
        self.bookmarks = bookmarks

    def __iter__(self) -> Iterator[Window]:
        info = get_worker_info()
        worker_number, workers = (info.id, info.num_workers) if info else (0, 1)
        # `datasets` would divide the files among the workers once more.
        with replaced((worker, "_worker_info", None)):
            yield from self._of(worker_number, workers)

    def _of(self, worker_number: int, workers: int) -> Iterator[Window]:
        division, opened = self.division, dict[int, Iterator[Window]]()
        part = division.batch_size // division.world
        number = self.step * part + worker_number  # among the windows of this process
        while True:
            reader = (number * division.world + division.rank) % division.readers
            if reader not in opened:
                opened[reader] = self._open(reader)
            yield next(opened[reader])
            number += workers

    def _open(self, reader: int) -> Iterator[Window]:
        first = self.division.windows(reader, self.step)
        return self.reader(reader).windows(first, self.bookmarks.get(reader))


def _identity(window: Any) -> Any:
    return window
