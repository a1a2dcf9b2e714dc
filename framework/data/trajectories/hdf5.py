"""Hdf5Episodes: episodes in HDF5 files, as offline-RL benchmarks store them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framework.data.trajectories.arrays import SHOWN, UNREADABLE, ArrayEpisodes


class Hdf5Episodes(ArrayEpisodes):
    """Episodes in HDF5 files, as D4RL stores them.

    A file holds the data sets `observations` `[N, ...]`, `actions` `[N]` or `[N, ...]` and
    `rewards` `[N]`, and says where episodes end as `NpzEpisodes` describes.

    Args:
        path: An `.hdf5` or `.h5` file, a glob pattern of such files, or a directory of them; they
            are read in the order of their names.
        environment: Gymnasium id of the environment, or `module:id` of your own, "" where there is
            none to play in.

    Raises:
        ValueError: If h5py or a file is missing, an array is missing or holds no numbers, or no
            episode ends.

    Source: Fu et al., "D4RL: Datasets for Deep Data-Driven Reinforcement Learning"
    (arXiv:2004.07219).
    """

    suffixes = (".hdf5", ".h5")

    @contextmanager
    def _open(self, path: Path) -> Iterator[Mapping[str, Any]]:
        try:
            import h5py
        except ImportError as error:
            raise ValueError(
                "Hdf5Episodes needs the package h5py; pip install 'overtone[rl]'."
            ) from error
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise _damaged(path) from error
        with file:
            try:
                members = {str(name): data for name, data in file.items()}
            except UNREADABLE as error:
                raise _damaged(path) from error
            stored = {
                name: data for name, data in members.items() if isinstance(data, h5py.Dataset)
            }
            if not stored:
                listed = ", ".join(list(members)[:SHOWN]) or "nothing"
                raise ValueError(
                    f"{str(path)!r} holds {listed} and no arrays at its top; write observations, "
                    "actions and rewards there, or read a Minari data set with MinariEpisodes."
                )
            yield stored


def _damaged(path: Path) -> ValueError:
    return ValueError(f"{str(path)!r} is damaged or no HDF5 file; write it again.")
