"""Buffer: one buffer of the DQN Replay data set, compressed arrays that are streamed."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from framework.data.trajectories.episodes import Episodes
from framework.data.trajectories.frames import SIDE, STACK, Frames

KINDS: dict[str, type[np.generic]] = {
    "observation": np.uint8,
    "action": np.int32,
    "reward": np.float32,
    "terminal": np.uint8,
}
LEAD = STACK - 1  # black steps that the recorder put before an episode, to have a whole stack
TRAILER = 8  # bytes at the end of a gzip file: the checksum and the length of its content
CHUNK = 1024  # frames that are decompressed at once


class EpisodeSpan(NamedTuple):
    """Consecutive episodes of a buffer, without their frames."""

    first: int  # step at which they begin
    total: int  # steps of the buffer
    length: NDArray[np.int64]  # [episodes], steps of each, black ones included
    action: NDArray[np.int32]  # [n]
    reward: NDArray[np.float32]  # [n]


class Buffer:
    """The files of one buffer, `$store$_observation_ckpt.K.gz` and so on.

    Args:
        folder: Where they are.
        number: Number K of the buffer, in the order of time, from 0 on.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number = folder, number

    def file(self, name: str) -> Path:
        """Returns the file of the array `observation`, `action`, `reward` or `terminal`."""
        return self.folder / f"$store$_{name}_ckpt.{self.number}.gz"

    def require(self) -> None:
        """Checks that all files are there.

        Raises:
            ValueError: If one is missing.
        """
        for name in KINDS:
            if not self.file(name).is_file():
                raise ValueError(
                    f"DqnReplay: buffer {self.number} has no file {str(self.file(name))!r}; "
                    "download it, or name the complete buffers."
                )

    def checksums(self) -> list[str]:
        """Reads the checksum that gzip stores with each file, without the content."""
        return [_tail(self.file(name)).hex() for name in KINDS]

    def span(self, steps: int) -> EpisodeSpan:
        """Chooses the first whole episodes that have at least `steps` steps after black ones.

        Raises:
            ValueError: If a file is damaged, has another type, or is not as long as the others.
        """
        terminal, action, reward = self._columns("terminal", "action", "reward")
        ends = np.flatnonzero(terminal) + 1
        starts = np.append(0, ends)[:-1]
        if self.number > 0:  # its first steps belong to an episode of the buffer before
            starts, ends = starts[1:], ends[1:]
        length = ends - starts
        reached = np.cumsum(np.maximum(length - LEAD, 1))
        length = length[: int(np.searchsorted(reached, steps)) + 1]
        first = int(starts[0]) if len(starts) else 0
        part = slice(first, first + int(length.sum()))
        return EpisodeSpan(first, len(terminal), length, action[part].copy(), reward[part].copy())

    def read(self, span: EpisodeSpan) -> Episodes:
        """Reads the frames, and leaves out the black steps before each episode."""
        length, action, reward = span.length, span.action, span.reward
        frames = self._frames(span)
        begin = np.cumsum(length) - length
        idle = (action == 0) & (reward == 0)
        lead = np.zeros_like(length)
        for step in range(LEAD):
            at = np.minimum(begin + step, len(action) - 1)
            black = idle[at] & ~frames[at].any((1, 2)) & (step < length - 1)
            lead += black & (lead == step)
        keep = np.arange(len(action)) >= np.repeat(begin + lead, length)
        rewards = reward[keep].astype(np.float64)
        return Episodes(frames[keep], action[keep], rewards, length - lead)

    def _columns(self, *names: str) -> list[NDArray[Any]]:
        """Reads arrays of one number per step, `[N]` each."""
        columns = [_column(self.file(name), KINDS[name]) for name in names]
        sizes = [len(column) for column in columns]
        if len(set(sizes)) > 1:
            lengths = ", ".join(f"{name} has {n}" for name, n in zip(names, sizes, strict=True))
            raise ValueError(
                f"DqnReplay: the arrays of buffer {self.number} differ in length ({lengths}); "
                "download them again."
            )
        return columns

    def _frames(self, span: EpisodeSpan) -> Frames:
        """Reads the frames of a span, `[n, 84, 84]`, and no later ones.

        Raises:
            ValueError: If the file is damaged, has another type, or does not have one frame per
                step.
        """
        file, shape = self.file("observation"), (span.total, SIDE, SIDE)
        frames = np.empty((len(span.action), SIDE, SIDE), np.uint8)
        with _opened(file) as stream:
            found, order, dtype = _header(stream)
            if found == shape and dtype == np.uint8 and not order:
                stream.seek(span.first * SIDE * SIDE, os.SEEK_CUR)
                for begin in range(0, len(frames), CHUNK):
                    part = frames[begin : begin + CHUNK]
                    part[:] = np.frombuffer(stream.read(part.nbytes), np.uint8).reshape(part.shape)
                return frames
        raise ValueError(
            f"DqnReplay: {str(file)!r} holds {dtype} of shape {found}, and the other arrays of "
            f"buffer {self.number} need uint8 of shape {shape}; download it again."
        )


@contextmanager
def _opened(path: Path) -> Iterator[gzip.GzipFile]:
    """Opens a compressed file; errors while reading become one sentence."""
    try:
        with gzip.open(path) as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise ValueError(
            f"DqnReplay: {str(path)!r} is damaged ({' '.join(str(error).split())}); "
            "download it again."
        ) from error


def _header(stream: gzip.GzipFile) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Reads shape, order and type of an array, up to its content."""
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    shape, order, dtype = read[npy.read_magic(stream)](stream)
    return shape, order, dtype


def _column(path: Path, kind: type[np.generic]) -> NDArray[Any]:
    """Reads an array of one number per step, to its end, so that gzip checks it."""
    with _opened(path) as stream:
        values = np.asarray(npy.read_array(stream))
        stream.read(1)
    if values.dtype != kind or values.ndim != 1:
        raise ValueError(
            f"DqnReplay: {str(path)!r} holds {values.dtype} of shape {values.shape} instead of "
            f"{np.dtype(kind)}, one per step; download it again."
        )
    return values


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(TRAILER, path.stat().st_size), os.SEEK_END)
        return file.read()
