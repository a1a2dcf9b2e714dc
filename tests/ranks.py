"""Several ranks for a test, forked from its process: 0.2 s where a launch takes 10."""

import multiprocessing
import os
import queue
import socket
import time
import traceback
import warnings
from collections.abc import Callable, Collection
from typing import Any

import torch

import framework


def run_ranks(
    function: Callable[..., Any],
    world: int,
    *args: Any,
    timeout: float = 180.0,
    dying: Collection[int] = (),
) -> list[Any]:
    """Calls `function(*args)` on `world` ranks and returns what they returned, in order.

    Ranks that are `dying` return nothing, as they are killed sooner or later.

    The ranks see the environment of torchrun, so a Trainer with `devices=world` joins them by
    itself. Results are sent back by pickle (tensors by value); an error on any rank is raised here
    with its traceback.
    """
    dir(framework)  # imported here once: a checkpoint's names would have each rank do so
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    port = _free_port()
    ranks = [
        context.Process(target=_call, args=(function, args, rank, world, port, results))
        for rank in range(world)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside idle threads
        for rank in ranks:
            rank.start()
    try:
        return _collect(ranks, results, timeout, dying)
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()


def _collect(ranks: list[Any], results: Any, timeout: float, dying: Collection[int]) -> list[Any]:
    returned: dict[int, Any] = dict.fromkeys(dying)
    deadline = time.monotonic() + timeout
    while len(returned) < len(ranks):
        try:
            rank, value, error = results.get(timeout=0.2)
        except queue.Empty:
            crashed = [k for k, rank in enumerate(ranks) if rank.exitcode and k not in returned]
            if crashed:
                raise RuntimeError(f"ranks {crashed} crashed") from None
            if time.monotonic() > deadline:
                missing = sorted(set(range(len(ranks))) - set(returned))
                raise TimeoutError(f"ranks {missing} did not return in {timeout} s") from None
            continue
        if error is not None:
            raise RuntimeError(f"rank {rank} failed:\n{error}")
        returned[rank] = _from_arrays(value)
    return [returned[rank] for rank in range(len(ranks))]


def _call(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    rank: int,
    world: int,
    port: int,
    results: Any,
) -> None:
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_WORLD_SIZE=str(world),
        GROUP_RANK="0",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        TORCHELASTIC_RUN_ID="tests",
    )
    torch.set_num_threads(1)
    try:
        results.put((rank, _to_arrays(function(*args)), None))
    except BaseException:
        results.put((rank, None, traceback.format_exc()))
    results.close()
    results.join_thread()
    os._exit(0)  # without the exit handlers of pytest


def _to_arrays(value: Any) -> Any:
    """Replaces tensors: their shared memory would vanish with the process that made it."""
    match value:
        case torch.Tensor():
            return ("tensor", value.detach().numpy().copy())
        case dict():
            return {key: _to_arrays(item) for key, item in value.items()}
        case list():
            return [_to_arrays(item) for item in value]
    return value


def _from_arrays(value: Any) -> Any:
    match value:
        case ("tensor", array):
            return torch.from_numpy(array)
        case dict():
            return {key: _from_arrays(item) for key, item in value.items()}
        case list():
            return [_from_arrays(item) for item in value]
    return value


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
