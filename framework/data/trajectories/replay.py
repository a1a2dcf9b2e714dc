"""DqnReplay: recorded play of DQN agents on Atari games while they learned, as episodes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from framework.data.trajectories.buffers import Buffer
from framework.data.trajectories.episodes import Episodes, EpisodeSource
from framework.data.trajectories.frames import SIDE, STACK

PAPER = range(50)  # the buffers that papers read; a run may have one more, partly filled


class DqnReplay(EpisodeSource):
    """Episodes of the DQN Replay data set: single frames of an Atari game, and actions.

    A run is stored as 50 buffers of a million steps each, in the order of time. The first whole
    episodes of every buffer are read until they reach its part of the transitions; the last of
    them is read to its end. Episodes that begin in the buffer before or are cut by the end of the
    buffer do not count as whole. A buffer that has too few is read completely. The black steps
    that the recorder put before each episode are left out. No more is decompressed than is needed,
    and a frame is stored once, even if several stacks contain it.

    Args:
        path: Directory of a run, such as `Seaquest/1`, or the `replay_logs` in it.
        environment: Gymnasium id of the environment, such as `overtone/Seaquest-frames`; "" where
            there is none to play in.
        buffers: Numbers of the buffers to read; all of 0 to 49 that are there if not given.
        transitions: Steps at least, of all buffers together.
        stack: Frames in one observation.

    Raises:
        ValueError: If an option is out of its range, a file is missing or damaged, or the arrays
            of a buffer differ in length or have another type.

    Source: Agarwal, Schuurmans and Norouzi, "An Optimistic Perspective on Offline Reinforcement
    Learning" (arXiv:1907.04543), section 4. Chen et al., "Decision Transformer"
    (arXiv:2106.01345), read episodes from the front of buffers as well, but draw which buffer
    comes next, and keep remainders and black steps.
    """

    def __init__(
        self,
        path: str,
        environment: str = "",
        buffers: Sequence[int] | None = None,
        transitions: int = 500_000,
        stack: int = STACK,
    ) -> None:
        for name, value in {"transitions": transitions, "stack": stack}.items():
            if value < 1:
                raise ValueError(f"DqnReplay: {name}={value} is too small; use at least 1.")
        self.path, self.environment, self.buffers = Path(path), environment, buffers
        self.transitions, self.stack = transitions, stack

    def key(self) -> dict[str, object]:
        """Returns the checksums at the ends of the files, and how much is read."""
        content = [[buffer.number, *buffer.checksums()] for buffer in self._buffers()]
        return {"dqn_replay": content, "transitions": self.transitions}

    def read(self) -> Episodes:
        """Reads the chosen buffers.

        Raises:
            ValueError: If none of them has a whole episode.
        """
        buffers = self._buffers()
        steps = -(-self.transitions // len(buffers))
        spans = [buffer.span(steps) for buffer in buffers]
        room = sum(len(span.action) for span in spans)
        if not room:
            raise ValueError(
                f"DqnReplay: no buffer in {str(self.path)!r} has a whole episode; read others."
            )
        frames = np.empty((room, SIDE, SIDE), np.uint8)  # gigabytes, so filled in place
        filled, parts = 0, []
        for buffer, span in zip(buffers, spans, strict=True):
            if len(span.length):
                seen, *rest = buffer.read(span)
                frames[filled : filled + len(seen)] = seen
                filled += len(seen)
                parts.append(rest)
        return Episodes(frames[:filled], *map(np.concatenate, zip(*parts, strict=True)))

    def _buffers(self) -> list[Buffer]:
        """Finds the files.

        Raises:
            ValueError: If there is no buffer at all, or one of its files is missing.
        """
        logs = self.path / "replay_logs"
        folder = logs if logs.is_dir() else self.path
        numbers = PAPER if self.buffers is None else self.buffers
        found = [Buffer(folder, number) for number in numbers]
        if self.buffers is None:
            found = [buffer for buffer in found if buffer.file("observation").exists()]
        if not found:
            raise ValueError(
                f"DqnReplay: there is no buffer in {str(folder)!r}; give the directory of a run, "
                "with files like replay_logs/$store$_observation_ckpt.0.gz."
            )
        for buffer in found:
            buffer.require()
        return found
