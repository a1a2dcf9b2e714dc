"""Two machines of one network, which are namespaces of this one."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

NAMES = ("overtone0", "overtone1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
INTERFACE = "overtone"  # on both


@contextmanager
def two_machines() -> Iterator[tuple[list[list[str]], str, str]]:
    """Connects two machines.

    Yields:
        For each machine the words that start a command there; the address of the first; and the
        name of the network interface on both.
    """
    try:
        for name in NAMES:
            _ip("netns", "add", name)
        ends = ("link", "add", INTERFACE, "netns", NAMES[0], "type", "veth")
        _ip(*ends, "peer", "name", INTERFACE, "netns", NAMES[1])
        for name, address in zip(NAMES, ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", INTERFACE)
            for interface in ("lo", INTERFACE):
                _ip("-n", name, "link", "set", interface, "up")
        yield [["ip", "netns", "exec", name] for name in NAMES], ADDRESSES[0], INTERFACE
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
