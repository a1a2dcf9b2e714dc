"""How Lightning writes and reads checkpoint files: durably, and in the background if asked to."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.plugins import AsyncCheckpointIO
from lightning.pytorch.strategies import Strategy

from framework.checkpoint_files import save, write
from framework.checkpoints import joined, read, require_intact
from framework.packaged import SUFFIX

Action = Callable[[], object]


def install(strategy: Strategy, background: bool) -> DurableCheckpointIO:
    """Lets a strategy write files durably, unless a plugin of the user writes them.

    Args:
        strategy: Strategy of a trainer.
        background: Write in a thread while training goes on.

    Returns:
        What writes, or what only calls functions where a plugin does.

    Raises:
        ValueError: If it cannot write in the background.
    """
    used = strategy.checkpoint_io
    ours = BackgroundCheckpointIO() if background else DurableCheckpointIO()
    if isinstance(used, AsyncCheckpointIO):
        raise ValueError(
            "AsyncCheckpointIO removes earlier checkpoints before the next one is written; drop "
            "it from trainer.plugins and use checkpoint.asynchronous=true."
        )
    if type(used) in (TorchCheckpointIO, DurableCheckpointIO, BackgroundCheckpointIO):
        strategy.checkpoint_io = ours
        return ours
    if background:
        raise ValueError(
            f"checkpoint.asynchronous=true writes files itself, and trainer.plugins names "
            f"{type(used).__name__} for that; drop one of them."
        )
    return ours


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes the checkpoints of Lightning as `save` does, and checks those that it reads."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes a file; addresses of other machines are left to Lightning."""
        if storage_options is not None or "://" in str(path):
            super().save_checkpoint(checkpoint, path, storage_options)
        else:
            save(checkpoint, Path(path))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a file, also one of a model alone, or a folder of shards.

        Raises:
            ValueError: If its checksum says that it is damaged.
        """
        if Path(path).suffix == SUFFIX:
            return read(path)
        if Path(path).is_dir():
            return joined(Path(path))
        if Path(path).exists():
            require_intact(path)
        return super().load_checkpoint(path, map_location, weights_only)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Allows what is saved inside to be written later; here it is written at once."""
        yield

    def then(self, action: Action) -> None:
        """Calls a function when all is written that was saved."""
        action()

    def wait(self) -> None:
        """Waits until all is written.

        Raises:
            OSError: If something could not be written.
        """


class BackgroundCheckpointIO(DurableCheckpointIO):
    """Writes in a thread what is saved inside `deferred`, while training goes on.

    The state is first copied into the memory of the process, at most one at a time. An error is
    raised when the next checkpoint is saved, or at the end.
    """

    def __init__(self) -> None:
        self._is_deferred = False
        self._thread: ThreadPoolExecutor | None = None
        self._last: Future[object] | None = None

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Copies the state, and writes it later."""
        self.wait()
        if not self._is_deferred:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        held = io.BytesIO()
        torch.save(checkpoint, held)
        self.then(partial(write, Path(path), lambda file: file.write(held.getbuffer())))

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a file when all is written."""
        self.wait()
        return super().load_checkpoint(path, map_location, weights_only)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Removes a file when all is written that may take its place."""
        self.then(partial(super().remove_checkpoint, path))

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Lets what is saved inside be written later."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def then(self, action: Action) -> None:
        """Calls a function in the thread, if all before it was written."""
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoints")
        self._last = self._thread.submit(_follow, self._last, action)

    def wait(self) -> None:
        """Waits until all is written.

        Raises:
            OSError: If something could not be written.
        """
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def teardown(self) -> None:
        """Waits, and ends the thread."""
        try:
            self.wait()
        finally:
            if self._thread is not None:
                self._thread.shutdown()
                self._thread = None


def _follow(before: Future[object] | None, action: Action) -> None:
    if before is not None:
        before.result()  # done, as one thread does all in order; raises if it failed
    action()
