"""Spreads independent pieces of work on the CPU over processes of one thread each.

Drawing consists of many small operations, which one thread each computes faster than several.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")

_work: list[Callable[[Any], Any]] = []  # of this process, which inherited or was given it


def side_by_side(
    work: Callable[[int], Result], pieces: Sequence[int], device: torch.device
) -> Iterator[Result]:
    """Yields `work(piece)` of each piece, in order.

    On a CPU the pieces are shared among as many processes as torch may use threads, where the
    system can copy a process (Linux); elsewhere this process does them one after the other.
    Results are the same if `work` depends on its piece only.

    Args:
        work: Computes a piece. It need not be picklable; results must be.
        pieces: Numbers of the pieces.
        device: Where `work` computes.

    Raises:
        ValueError: If a process was ended from outside.
    """
    processes = min(torch.get_num_threads(), len(pieces))
    can_copy = "fork" in multiprocessing.get_all_start_methods()
    if device.type != "cpu" or processes < 2 or not can_copy:
        yield from map(work, pieces)
        return
    # A copy has none of the threads of torch, and starts none, so it may be one of a process that
    # has some, of which Python 3.12 warns.
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _begin, (work,)) as pool:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*multi-threaded.*fork", DeprecationWarning)
            results = pool.map(_do, pieces)
        try:
            yield from results
        except BrokenProcessPool:
            raise ValueError(
                "A process that drew forecasts was ended from outside, perhaps because memory ran "
                "out; run it again with OMP_NUM_THREADS=1 in the environment, in one process."
            ) from None


def _begin(work: Callable[[Any], Any]) -> None:
    torch.set_num_threads(1)
    _work[:] = [work]


def _do(piece: int) -> Any:
    return _work[0](piece)
