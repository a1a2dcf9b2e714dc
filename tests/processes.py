"""Processes that die in the middle of what they do, as a machine may at any time."""

import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable
from itertools import count
from typing import Any

import framework

CHANGES = ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink")


def run_forked(function: Callable[[], Any]) -> int:
    """Calls a function in a forked process; returns its status, -9 if it was killed."""
    dir(framework)  # imported here once: a checkpoint's names would have each process do so
    process = multiprocessing.get_context("fork").Process(target=_call, args=(function,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside idle threads
        process.start()
    process.join(120)
    process.kill()
    process.join()
    return int(process.exitcode)


def killed_everywhere(function: Callable[[], Any], folder: Any, stride: int = 1) -> Any:
    """Calls a function in processes that die at their first, second, ... change of a folder.

    Yields after each death, and ends when a process has lived to its end. A change is a system
    call that Python reports before it happens, or a `tick`; with a `stride` some are left out.
    """
    for number in count(1, stride):
        status = run_forked(lambda number=number: _die_at(number, str(folder), function))
        if status == 0:
            assert number > 3, "it changed nothing in the folder"
            return
        assert status == -signal.SIGKILL
        yield number


def tick() -> None:
    """Counts as a change of the folder."""
    sys.audit("tests.tick")


def _call(function: Callable[[], Any]) -> None:
    function()
    os._exit(0)  # without the exit handlers of pytest


def _die_at(number: int, folder: str, function: Callable[[], Any]) -> None:
    passed = count(1)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        inside = event in CHANGES and any(folder in str(value) for value in args)
        if (inside or event == "tests.tick") and next(passed) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    function()
