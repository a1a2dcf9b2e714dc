"""Checks on a device: each in a process of its own, so that one that fails ends no other."""

from __future__ import annotations

import math
import multiprocessing
import multiprocessing.connection
import os
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MOST = 120.0  # seconds of one check, so that one that hangs leaves time to the others


@dataclass(frozen=True)
class Place:
    """Where a check runs, and how large it is.

    Args:
        device: Type of the device, `cuda` or `cpu`.
        small: Whether sizes are those of a test, and timings mean nothing.
    """

    device: str
    small: bool = False

    def size(self, large: Any, little: Any) -> Any:
        """Returns the first where sizes are real, the second in a test."""
        return little if self.small else large

    def wait(self) -> None:
        """Waits until the device has done what it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def medians(self, *runs: Callable[[], object], rounds: int = 11) -> list[float]:
        """Returns the median seconds of runs that take turns, after two untimed ones of each."""
        times: list[list[float]] = [[] for _ in runs]
        for round_ in range(self.size(rounds, 1) + self.size(2, 0)):
            for run, seconds in zip(runs, times, strict=True):
                self.wait()
                start = time.perf_counter()
                run()
                self.wait()
                if round_ >= self.size(2, 0):
                    seconds.append(time.perf_counter() - start)
        return [statistics.median(seconds) for seconds in times]


Check = Callable[[Place], str]
"""Returns what was measured in one line, or raises."""


class Disagreement(Exception):
    """The device computes something else."""


@dataclass(frozen=True)
class Outcome:
    """How a check ended.

    Args:
        name: Name of the check.
        passed: Whether it returned.
        said: What it measured, or why it failed, in one line.
        log: What it printed, and its traceback.
        seconds: How long it took, with the start of its process.
    """

    name: str
    passed: bool
    said: str
    log: str
    seconds: float

    def __str__(self) -> str:
        verdict = "ok    " if self.passed else "FAILED"
        return f"{verdict} {self.name} ({self.seconds:.0f} s): {self.said}"


def distance(found: Tensor, exact: Tensor) -> float:
    """Returns the norm of the difference in units of the norm of `exact`, NaN if not finite."""
    found, exact = found.detach().cpu().double(), exact.detach().cpu().double()
    if found.shape != exact.shape:
        raise Disagreement(f"shape {tuple(found.shape)} in place of {tuple(exact.shape)}")
    return float((found - exact).norm() / exact.norm().clamp_min(1e-30))


def require_close(name: str, found: Tensor, exact: Tensor, most: float) -> float:
    """Returns the relative distance of two tensors.

    Raises:
        Disagreement: If it is larger than `most`, or not a number.
    """
    away = distance(found, exact)
    if not away <= most:
        raise Disagreement(f"{name} is {away:.2g} away, more than {most:.2g}")
    return away


def tolerance(dtype: torch.dtype) -> float:
    """Returns the distance that rounding explains: some units, and more in float32, for TF32."""
    return max(8 * torch.finfo(dtype).eps, 2e-4)


def run_each(checks: Mapping[str, Check], place: Place, limit: float) -> Iterator[Outcome]:
    """Runs checks one after another, each in a new process.

    Args:
        checks: The checks by name.
        place: Where they run.
        limit: Seconds for all of them. One that runs at the end is stopped, or when it has run
            for `MOST` seconds; those that are left fail without having run.
    """
    end = time.monotonic() + limit
    for name, check in checks.items():
        yield _run(name, check, place, min(MOST, end - time.monotonic()))


def _run(name: str, check: Check, place: Place, limit: float) -> Outcome:
    if limit <= 0:
        return Outcome(name, False, "not run, no time was left", "", 0.0)
    start, context = time.monotonic(), multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        process = context.Process(target=_send, args=(check, place, folder, sender))
        process.start()
        sender.close()  # so that a process that dies ends the waiting
        passed, said = _received(receiver, limit)
        process.join(5)
        if process.is_alive():
            process.kill()
            process.join()
        if said is None:
            said = f"its process ended with status {process.exitcode}"
        text = log.read_text(errors="replace") if log.exists() else ""
    return Outcome(name, passed, said, text, time.monotonic() - start)


def _received(
    receiver: multiprocessing.connection.Connection, limit: float
) -> tuple[bool, str | None]:
    if not receiver.poll(limit):
        return False, f"stopped after {limit:.0f} s, no time was left"
    try:
        passed, said = receiver.recv()
    except EOFError:
        return False, None
    return passed, said


def _send(
    check: Check, place: Place, folder: str, sender: multiprocessing.connection.Connection
) -> None:
    """Runs a check in this process, in an empty folder, and sends how it ended."""
    log = os.open(Path(folder, "log"), os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    work = Path(folder, "work")
    work.mkdir()
    os.chdir(work)
    try:
        torch.manual_seed(0)
        ending = True, check(place)
    except (Exception, SystemExit) as error:  # cli.main ends so after an error of the user
        traceback.print_exc()
        ending = False, " ".join(f"{type(error).__name__}: {error}".split())[:300]
    sender.send(ending)


def per_second(count: float, seconds: float) -> str:
    """Writes a rate with three digits."""
    rate = count / seconds if seconds else math.inf
    return f"{float(f'{rate:.3g}'):,.0f}/s"
