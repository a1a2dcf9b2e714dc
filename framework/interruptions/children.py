"""The ranks that the first process of a machine has started itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from framework.interruptions import FAILED

INTERVAL = 0.5  # seconds between two looks


class Children:
    """Watches the processes that Lightning's launcher has started, in place of its own observer.

    That one kills all processes, this one included, up to five seconds after one has ended with
    another status than 0: nothing can be saved or said then. Here this process has `patience` to
    do so; if it is stuck in a collective, it is ended.

    Args:
        launcher: That of the strategy; one without processes is left alone.
        first: The rank of this process.
        patience: Seconds between the death of a rank and the end of this one.
    """

    def __init__(self, launcher: Any, first: int, patience: float) -> None:
        held: list[subprocess.Popen[bytes]] = getattr(launcher, "procs", [])
        self._processes = {first + k: process for k, process in enumerate(held, 1)}
        self._patience = patience
        self._is_over = threading.Event()
        held.clear()  # what an empty list holds is well, to Lightning's observer
        if self._processes:
            threading.Thread(target=self._watch, name="watches-ranks", daemon=True).start()

    def fates(self) -> dict[int, str]:
        """Returns how ranks have ended that did not end well, by rank."""
        ended = {rank: process.poll() for rank, process in self._processes.items()}
        return {rank: _fate(status) for rank, status in ended.items() if status}

    def rest(self) -> None:
        """Ends the watch, as this process knows that the run is over."""
        self._is_over.set()

    def end(self, patience: float) -> None:
        """Waits for all of them, and kills those that are left.

        Args:
            patience: Seconds.
        """
        self.rest()
        deadline = time.monotonic() + patience
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()

    def _watch(self) -> None:
        while not self._is_over.wait(INTERVAL):
            if fates := self.fates():
                if self._is_over.wait(self._patience):
                    return
                print(f"{describe(fates)}; this process is stuck, and ends.", file=sys.stderr)
                self.end(0.0)
                os._exit(FAILED)


def describe(fates: dict[int, str]) -> str:
    """Returns "Rank 1 was killed by SIGKILL, Rank 2 …" for ranks that did not end well."""
    return ", ".join(f"Rank {rank} {fate}" for rank, fate in sorted(fates.items()))


def _fate(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
