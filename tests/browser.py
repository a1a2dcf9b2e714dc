"""Drives a headless Chromium by its DevTools protocol, over pipes."""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ("--headless", "--disable-gpu", "--no-sandbox", "--remote-debugging-pipe")
READS, WRITES = 3, 4  # the files of Chromium that are these pipes


class Tab:
    """A page, and the events that it sent.

    Args:
        command: A file that Chromium reads.
        answers: One that it writes.
    """

    def __init__(self, command: Any, answers: Any) -> None:
        self._command, self._answers, self._numbers = command, answers, itertools.count(1)
        self._session: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Calls a method, and returns its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        self._command.write(json.dumps(message).encode() + b"\0")
        self._command.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, address: str, width: int, scheme: str) -> None:
        """Opens a page on a screen of some width, and waits until it is loaded.

        Args:
            address: Where it is.
            width: Of the screen, in pixels.
            scheme: The color scheme that it prefers.
        """
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        preferred = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=preferred)
        self.events.clear()
        self.call("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._receive()

    def value(self, expression: str) -> Any:
        """Evaluates JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def named(self, *methods: str) -> list[dict[str, Any]]:
        """Returns what events of some names said since the page was opened."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def _receive(self) -> dict[str, Any]:
        data = b""
        while not data.endswith(b"\0"):
            part = self._answers.read(1)
            assert part, "the browser has ended"
            data += part
        answer: dict[str, Any] = json.loads(data[:-1])
        if "method" in answer:
            self.events.append(answer)
        return answer


@contextlib.contextmanager
def browser(program: str, folder: Path) -> Iterator[Tab]:
    """Starts a browser, and ends it.

    Args:
        program: Path of Chromium.
        folder: Where it keeps what it remembers.
    """
    commands, answers = os.pipe(), os.pipe()

    def connect() -> None:  # in the new process: first out of the way of the two numbers
        source, sink = os.dup(commands[0]), os.dup(answers[1])
        os.dup2(source, READS)
        os.dup2(sink, WRITES)

    process = subprocess.Popen(
        [program, *OPTIONS, f"--user-data-dir={folder}"],
        preexec_fn=connect,
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands[0])
    os.close(answers[1])
    with open(commands[1], "wb") as command, open(answers[0], "rb") as received:
        try:
            yield Tab(command, received)
        finally:
            process.kill()
            process.wait()
