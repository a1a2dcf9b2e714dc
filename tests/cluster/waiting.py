"""Waits for what other processes do."""

import time
from collections.abc import Callable


def wait_until(met: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for something to happen.

    Raises:
        TimeoutError: If it does not.
    """
    deadline = time.monotonic() + seconds
    while not met():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for: {what}")
        time.sleep(0.1)
