"""Recordings: episodes in NumPy, Arrow and Parquet files, and in Minari data sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import feather, parquet

from framework.data.cache import fingerprint
from framework.data.trajectories.episodes import Episodes, EpisodeSource


class NpzEpisodes(EpisodeSource):
    """Episodes in NumPy archives.

    An archive holds the arrays `observation` `[N, ...]`, `action` `[N]` or `[N, ...]` and `reward`
    `[N]`. It is one episode, or several if there is an array `length` with the steps of each.

    Args:
        path: An `.npz` file, or a directory of them, which are read in the order of their names.
        environment: Gymnasium id of the environment, "" where there is none to play in.

    Raises:
        ValueError: If there is no file, or an array is missing.
    """

    def __init__(self, path: str, environment: str = "") -> None:
        self.path, self.environment = Path(path), environment

    def key(self) -> dict[str, object]:
        """Digests the files."""
        return {"npz": fingerprint(*self._files())}

    def read(self) -> Episodes:
        """Reads the files."""
        return Episodes.join([_read_archive(file) for file in self._files()])

    def _files(self) -> list[Path]:
        files = sorted(self.path.glob("*.npz")) if self.path.is_dir() else [self.path]
        return _existing(files, self.path, "an .npz file or a directory of them")


class TableEpisodes(EpisodeSource):
    """Episodes in an Arrow or Parquet file with one row a step.

    Rows with the same `episode`, which follow one another in time, have the columns `observation`,
    `action` and `reward`: numbers, or lists of numbers of one length (also lists of lists).

    Args:
        path: A `.parquet`, `.arrow` or `.feather` file.
        environment: Gymnasium id of the environment, "" where there is none to play in.

    Raises:
        ValueError: If there is no file, a column is missing or has gaps, lists differ in length,
            or the rows of an episode are apart.
    """

    def __init__(self, path: str, environment: str = "") -> None:
        self.path, self.environment = Path(path), environment

    def key(self) -> dict[str, object]:
        """Digests the file."""
        kind = "a .parquet, .arrow or .feather file"
        return {"table": fingerprint(*_existing([self.path], self.path, kind))}

    def read(self) -> Episodes:
        """Reads the file."""
        reader = parquet if self.path.suffix == ".parquet" else feather
        table = reader.read_table(self.path)
        episode = self._column(table, "episode")
        starts = np.flatnonzero(np.append(True, episode[1:] != episode[:-1]))
        if len(np.unique(episode[starts])) < len(starts):
            raise ValueError(
                f"{self.path}: the rows of an episode are apart; sort them by episode and time."
            )
        length = np.diff(np.append(starts, len(episode)))
        return _episodes(lambda name: self._column(table, name), length)

    def _column(self, table: Any, name: str) -> NDArray[Any]:
        """Reads a column as an array `[N, ...]`."""
        if name not in table.column_names:
            raise ValueError(
                f"{self.path} has no column {name!r}; it has {', '.join(table.column_names)}."
            )
        values, shape = table[name].combine_chunks(), [table.num_rows]
        while _is_list(values.type) and not values.null_count:
            lengths = pc.unique(pc.list_value_length(values)).to_pylist()
            if len(lengths) != 1:
                raise ValueError(
                    f"{self.path}: lists in column {name!r} differ in length; give equal ones."
                )
            values = values.flatten()
            shape.append(lengths[0])
        if values.null_count or not table.num_rows:
            raise ValueError(f"{self.path}: column {name!r} has gaps or no rows; fill it.")
        return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)


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
    def environment(self) -> str:  # type: ignore[override]  # the data set knows it
        """The id that the data set names."""
        spec = self._load().spec.env_spec
        return "" if spec is None else str(spec.id)

    def key(self) -> dict[str, object]:
        """Names the data set, whose id has a version, and counts its steps."""
        return {"minari": self.dataset, "steps": int(self._load().total_steps)}

    def read(self) -> Episodes:
        """Reads all episodes; what is seen after the last action is left out."""
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
                f"minari download {self.dataset} brings it."
            ) from error


def _read_archive(path: Path) -> Episodes:
    with np.load(path) as archive:
        for name in ("observation", "action", "reward"):
            if name not in archive:
                raise ValueError(f"{path} has no array {name!r}; it has {', '.join(archive)}.")
        length = archive["length"] if "length" in archive else [len(archive["reward"])]
        return _episodes(lambda name: archive[name], np.asarray(length, np.int64))


def _episodes(array: Callable[[str], NDArray[Any]], length: NDArray[np.int64]) -> Episodes:
    return Episodes(array("observation"), array("action"), array("reward"), length)


def _read_minari(episode: Any) -> Episodes:
    steps = len(episode.rewards)
    seen = np.asarray(episode.observations)[:steps]
    return Episodes(seen, np.asarray(episode.actions), episode.rewards, np.array([steps]))


def _is_list(kind: Any) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _existing(files: list[Path], path: Path, kind: str) -> list[Path]:
    if not files or not all(file.is_file() for file in files):
        raise ValueError(f"There are no episodes at {str(path)!r}; give the path of {kind}.")
    return files
