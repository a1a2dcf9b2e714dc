"""Signals that ask a run to stop: remembered, and acted on at the end of a step."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


class Signals:
    """Remembers the first signal that asked this process to stop.

    A second Ctrl-C ends the process at once. Workers that a data loader forks inherit the handlers
    and ignore what is meant for the run.
    """

    def __init__(self) -> None:
        self.received = 0
        self._process = -1
        self._before: dict[int, Any] = {}

    def listen(self) -> bool:
        """Replaces the handlers; returns whether that is possible, as in the main thread only.

        A handler of SIGUSR1 that somebody has set stays.
        """
        if threading.current_thread() is not threading.main_thread():
            return False
        self.received, self._process = 0, os.getpid()
        for number in STOPPING:
            before = signal.getsignal(number)
            if number != signal.SIGUSR1 or before == signal.SIG_DFL:
                self._before[number] = before
                signal.signal(number, self._remember)
        return True

    def restore(self) -> None:
        """Puts the handlers back that were there before."""
        if os.getpid() == self._process:
            for number, before in self._before.items():
                signal.signal(number, signal.SIG_DFL if before is None else before)
        self._before = {}

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.received = self.received or number
        before: Callable[..., Any] | Any = self._before.get(number)
        if callable(before) and before is not signal.default_int_handler:
            before(number, frame)

    def __getstate__(self) -> dict[str, Any]:
        """Leaves handlers out, which no other process can have."""
        return {**vars(self), "_before": {}}
