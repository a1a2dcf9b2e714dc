"""Where the processes of a run meet, and how long they wait for each other there."""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass, field

SECONDS = "OVERTONE_CONNECT_SECONDS"  # the environment variable that sets the time
DEFAULT = 600.0  # since one process may prepare data that another one has
NOTICE = 10.0  # seconds after which it is said what is waited for
ATTEMPT = 5.0  # seconds that a single connection may take


@dataclass
class Deadline:
    """The time within which all processes must have come.

    Args:
        seconds: How long from now on.
    """

    seconds: float
    _begin: float = field(default_factory=time.monotonic)
    _has_told: bool = False
    _pause: float = 0.01

    @classmethod
    def stated(cls) -> Deadline:
        """Begins the time that the environment sets.

        Raises:
            ValueError: If it is no positive number.
        """
        text = os.environ.get(SECONDS) or str(DEFAULT)
        try:
            seconds = float(text)
        except ValueError:
            seconds = 0.0
        if not seconds > 0:
            raise ValueError(f"{SECONDS}={text} is no positive number of seconds; use 600.")
        return cls(seconds)

    @property
    def left(self) -> float:
        """Seconds that are left, 0 if none are."""
        return max(0.0, self._begin + self.seconds - time.monotonic())

    def pause(self, awaited: str) -> None:
        """Waits for a moment, longer each time up to a second, and says once what for.

        Args:
            awaited: What is waited for.
        """
        if not self._has_told and self.seconds - self.left > NOTICE:
            self._has_told = True
            print(f"Waits for {awaited}, {self.seconds:g} s at most.", file=sys.stderr)
        time.sleep(min(self._pause, self.left))
        self._pause = min(1.0, 1.5 * self._pause)


@dataclass(frozen=True)
class Address:
    """Where the first process listens.

    Args:
        host: Name or number of its machine.
        port: The port there.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"MASTER_ADDR={self.host} MASTER_PORT={self.port}"

    def reach(self, deadline: Deadline) -> None:
        """Waits until somebody listens there.

        Args:
            deadline: How long.

        Raises:
            ValueError: If the address is none, or nobody listens in time.
        """
        if not 0 < self.port < 1 << 16:
            raise ValueError(f"MASTER_PORT={self.port} is no port; use one such as 29500.")
        while (failure := self._failure(deadline)) is not None:
            if deadline.left:
                deadline.pause(f"the first process at {self} ({failure.strerror or failure})")
            elif isinstance(failure, socket.gaierror):
                raise ValueError(
                    f"MASTER_ADDR={self.host} leads to no machine (tried for {deadline.seconds:g} "
                    f"s: {failure.strerror}); set it to the name or number of the one where rank "
                    "0 runs."
                ) from failure
            else:
                raise ValueError(
                    f"Nobody listens at {self} (tried for {deadline.seconds:g} s: "
                    f"{failure.strerror or failure}); start rank 0 there, set both variables "
                    "alike on all machines and let firewalls pass the port, or wait longer with "
                    f"{SECONDS}."
                ) from failure

    def _failure(self, deadline: Deadline) -> OSError | None:
        """Tries once to connect."""
        try:
            seconds = min(ATTEMPT, deadline.left + 0.1)
            socket.create_connection((self.host, self.port), seconds).close()
        except OSError as error:
            return error
        return None
