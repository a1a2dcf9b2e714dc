"""Recordings: episodes in tables and Minari data sets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import fingerprint
from framework.data.files import existing_file
from framework.data.table_file import TableFile
from framework.data.trajectories.episodes import ARRAYS, Episodes, EpisodeSource, Origin

logger = logging.getLogger(__name__)


class TableEpisodes(EpisodeSource):
    """Episodes in a table with one row a step.

    Rows with the same `episode`, which follow one another in time, have the columns `observation`,
    `action` and `reward`: numbers, or lists of numbers of one length (also lists of lists), which
    CSV cannot hold.

    Args:
        path: A `.parquet`, `.arrow`, `.feather` or `.csv` file.
        environment: Gymnasium id of the environment, or `module:id` of your own, "" where there is
            none to play in.

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
        table.arrays("episode")  # refuses gaps and a file without rows
        episode = table.names("episode").to_numpy()
        starts = np.flatnonzero(np.append(True, episode[1:] != episode[:-1]))
        _, again = np.unique(episode[starts], return_index=True)
        if len(again) < len(starts):
            row = int(starts[np.setdiff1d(np.arange(len(starts)), again)[0]])
            raise ValueError(
                f"{str(self.path)!r}: the rows of an episode are apart, as episode "
                f"{str(episode[row])!r} goes on in row {row + 1}; sort them by episode and time."
            )
        origin = Origin(repr(str(self.path)), "column {name!r} in row {number}")
        seen, action, reward = (_numbers(table, name) for name in ARRAYS)
        length = np.diff(np.append(starts, len(episode)))
        return Episodes(seen, action, reward, length).checked(origin)


class MinariEpisodes(EpisodeSource):
    """Episodes of a Minari data set on this machine, such as `mujoco/hopper/expert-v0`.

    Args:
        dataset: Its id.
        environment: Gymnasium id of the environment, or `module:id` of your own, "" for none to
            play in; that of the data set if not given.

    Raises:
        ValueError: If the package is missing or the data set is not on this machine.
    """

    def __init__(self, dataset: str, environment: str | None = None) -> None:
        self.dataset, self._environment = dataset, environment

    @property
    def environment(self) -> str:  # type: ignore[override]  # may be read from the data set
        """Id of the environment."""
        if self._environment is not None:
            return self._environment
        spec = self._load().spec.env_spec
        return "" if spec is None else str(spec.id)

    def key(self) -> dict[str, object]:
        """Returns the id of the data set, which has a version, and its number of steps."""
        steps = int(self._load().total_steps)
        return {"minari": self.dataset, "steps": steps, "without end": "left out"}

    def read(self) -> Episodes:
        """Reads all episodes that have an end, each without its last observation."""
        played = self._load().iterate_episodes()
        whole = [episode for episode in played if _has_end(episode, self.dataset)]
        return Episodes.join([_read_minari(episode, self.dataset) for episode in whole])

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


def _read_minari(episode: Any, dataset: str) -> Episodes:
    """Reads one episode, without the observation after its last action."""
    steps, place = len(episode.rewards), repr(dataset)
    for name in ("observations", "actions"):
        kind = type(getattr(episode, name))
        if issubclass(kind, dict | tuple):
            raise ValueError(
                f"{place}: {name} of episode {episode.id} are a {kind.__name__}, not one array; "
                "choose a data set of arrays."
            )
    seen, actions = np.asarray(episode.observations)[:steps], np.asarray(episode.actions)
    origin = Origin(place, "{name}[{index}]", {n: f"{n}s" for n in ARRAYS}, episode.id)
    length = np.array([steps])
    return Episodes(seen, actions, np.asarray(episode.rewards), length).checked(origin)


def _has_end(episode: Any, dataset: str) -> bool:
    """Returns whether an episode was played to its end; says so if it was not."""
    ended = any((*episode.terminations[-1:], *episode.truncations[-1:]))
    if not ended:
        logger.warning(
            "%r: episode %d has no end (it is neither terminated nor truncated) and is left out.",
            dataset,
            episode.id,
        )
    return ended
