"""What worker processes cost for token windows: training batches alone, as the loop reads them.

Workers hand over each tensor of a batch through shared memory, which takes far longer than to cut
windows out of a memory map. Recipes of language models therefore have none.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import islice

from benchmarks.scoreboard import Figure, interleaved, report
from framework.data import StateOfTheUnion, TokenData

ROUNDS = 5
BATCHES = 500
WORKERS = 2


def seconds(data: TokenData) -> float:
    """Reads batches and returns the seconds that they took after the first ones."""
    batches = iter(data.train_dataloader())
    deque(islice(batches, 10), maxlen=0)  # workers are there then
    start = time.perf_counter()
    deque(islice(batches, BATCHES), maxlen=0)
    return time.perf_counter() - start


def figures() -> Iterator[Figure]:
    """Compares no worker with two."""
    warnings.filterwarnings("ignore")
    kind = partial(TokenData, StateOfTheUnion(), length=2048, batch_size=8)
    none, some = (partial(seconds, kind(num_workers=count)) for count in (0, WORKERS))
    alone, helped = interleaved(none, some, ROUNDS)
    yield Figure("windows_ms_a_batch", alone / BATCHES * 1000, "<=", 2)
    yield Figure("none_over_two_workers", alone / helped, "<=", 0.5)


if __name__ == "__main__":
    report(figures())
