"""Recordings: episodes in tables and Minari data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import fingerprint
from framework.data.files import TableFile, existing_file
from framework.data.trajectories.episodes import ARRAYS, Episodes, EpisodeSource, Origin


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
        return {"steps": fingerprint(existing_file(self.path, "TableEpisodes: path"))}

    def read(self) -> Episodes:
        """Reads the file."""
        table = TableFile(self.path, texts=["episode"])
        episode = table.arrays("episode")
        starts = np.flatnonzero(np.append(True, episode[1:] != episode[:-1]))
        _, again = np.unique(episode[starts], return_index=True)
        if len(again) < len(starts):
            row = int(starts[np.setdiff1d(np.arange(len(starts)), again)[0]])
            raise ValueError(
                f"{str(self.path)!r}: the rows of an episode are apart, as episode "
                f"{episode[row]!r} goes on in row {row + 1}; sort them by episode and time."
            )
        origin = Origin(repr(str(self.path)), "column {name!r} in row {number}")
        seen, action, reward = (_numbers(table, name) for name in ARRAYS)
        length = np.diff(np.append(starts, len(episode)))
        return Episodes(seen, action, reward, length).checked(origin)


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


def _numbers(table: TableFile, name: str) -> NDArray[Any]:
    column = table.arrays(name)
    return column if column.dtype.kind in "biuf" else table.numbers(name)  # which names the row


def _read_minari(episode: Any) -> Episodes:
    steps = len(episode.rewards)
    origin = Origin(f"The episode {getattr(episode, 'id', '')}".rstrip(), "{name}[{index}]")
    for name in ("observations", "actions"):
        if isinstance(getattr(episode, name), dict | tuple):
            raise ValueError(
                f"{origin.file}: its {name} are a {type(getattr(episode, name)).__name__}, not "
                "one array; choose a data set of arrays."
            )
    seen = np.asarray(episode.observations)[:steps]
    actions = np.asarray(episode.actions)
    return Episodes(seen, actions, np.asarray(episode.rewards), np.array([steps])).checked(origin)
