"""Recordings: episodes in NumPy archives, tables and Minari data sets."""

from __future__ import annotations

from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import fingerprint
from framework.data.files import TableFile, existing_file, matching_files
from framework.data.trajectories.episodes import Episodes, EpisodeSource


class NpzEpisodes(EpisodeSource):
    """Episodes in NumPy archives.

    An archive holds the arrays `observation` `[N, ...]`, `action` `[N]` or `[N, ...]` and `reward`
    `[N]`. It is one episode, or several if there is an array `length` with the steps of each.

    Args:
        path: An `.npz` file, a glob pattern of such files, or a directory of them; they are read
            in the order of their names.
        environment: Gymnasium id of the environment, "" where there is none to play in.

    Raises:
        ValueError: If there is no file, or an array is missing.
    """

    def __init__(self, path: str, environment: str = "") -> None:
        self.path, self.environment = path, environment

    def key(self) -> dict[str, object]:
        """Digests the files."""
        return {"npz": fingerprint(*self._files())}

    def read(self) -> Episodes:
        """Reads the files."""
        return Episodes.join([_read_archive(file) for file in self._files()])

    def _files(self) -> list[Path]:
        pattern = f"{escape(self.path)}/*.npz" if Path(self.path).is_dir() else self.path
        return matching_files(pattern, "NpzEpisodes: path")


class TableEpisodes(EpisodeSource):
    """Episodes in a table with one row a step.

    Rows with the same `episode`, which follow one another in time, have the columns `observation`,
    `action` and `reward`: numbers, or lists of numbers of one length (also lists of lists).

    Args:
        path: A `.parquet`, `.arrow`, `.feather` or `.csv` file.
        environment: Gymnasium id of the environment, "" where there is none to play in.

    Raises:
        ValueError: If there is no file, a column is missing or has gaps, lists differ in length,
            or the rows of an episode are apart.
    """

    def __init__(self, path: str, environment: str = "") -> None:
        self.path, self.environment = Path(path), environment

    def key(self) -> dict[str, object]:
        """Digests the file."""
        return {"table": fingerprint(existing_file(self.path, "TableEpisodes: path"))}

    def read(self) -> Episodes:
        """Reads the file."""
        table = TableFile(self.path, texts=["episode"])
        episode = table.arrays("episode")
        starts = np.flatnonzero(np.append(True, episode[1:] != episode[:-1]))
        if len(np.unique(episode[starts])) < len(starts):
            raise ValueError(
                f"{str(self.path)!r}: the rows of an episode are apart; sort them by episode and "
                "time."
            )
        return _episodes(table.arrays, np.diff(np.append(starts, len(episode))))


class MinariEpisodes(EpisodeSource):
    """Episodes of a Minari data set on this machine, such as `mujoco/hopper/expert-v0`.

    Args:
        dataset: Its id.

    Raises:
        ValueError: If the package is missing or the data set is not on this machine.
    """

    def __init__(self, dataset: str) -> None:
        self.dataset = dataset

    @property
    def environment(self) -> str:  # type: ignore[override]  # read from the data set
        """Id of the environment, from the data set."""
        spec = self._load().spec.env_spec
        return "" if spec is None else str(spec.id)

    def key(self) -> dict[str, object]:
        """Returns the id of the data set, which has a version, and its number of steps."""
        return {"minari": self.dataset, "steps": int(self._load().total_steps)}

    def read(self) -> Episodes:
        """Reads all episodes; the observation after the last action is left out."""
        return Episodes.join(
            [_read_minari(episode) for episode in self._load().iterate_episodes()]
        )

    def _load(self) -> Any:
        try:
            import minari
        except ImportError as error:
            raise ValueError(
                "MinariEpisodes needs the package minari; pip install 'overtone[rl]'."
            ) from error
        try:
            return minari.load_dataset(self.dataset)
        except (FileNotFoundError, ValueError) as error:
            raise ValueError(
                f"The Minari data set {self.dataset!r} is not on this machine; "
                f"run minari download {self.dataset}."
            ) from error


def _read_archive(path: Path) -> Episodes:
    with np.load(path) as archive:
        for name in ("observation", "action", "reward"):
            if name not in archive:
                raise ValueError(
                    f"{str(path)!r} has no array {name!r}; it has {', '.join(archive)}."
                )
        length = archive["length"] if "length" in archive else [len(archive["reward"])]
        return _episodes(lambda name: archive[name], np.asarray(length, np.int64))


def _episodes(array: Callable[[str], NDArray[Any]], length: NDArray[np.int64]) -> Episodes:
    return Episodes(array("observation"), array("action"), array("reward"), length)


def _read_minari(episode: Any) -> Episodes:
    steps = len(episode.rewards)
    seen = np.asarray(episode.observations)[:steps]
    return Episodes(seen, np.asarray(episode.actions), episode.rewards, np.array([steps]))
