"""Calendars: convert time stamps to steps of a regular grid, and know the length of a season."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True)
class Calendar:
    """A regular grid of time.

    Args:
        count: Numbers time stamps `[N]` by the units they fall in.
        multiple: Units in a step.
        season: Steps in a season, 1 where there is none.
    """

    count: Callable[[Any], NDArray[np.int64]]
    multiple: int
    season: int

    @classmethod
    def parse(cls, frequency: str) -> Calendar:
        """Reads a pandas frequency, such as `30min`, `h`, `D`, `W-SUN`, `MS` or `QE-DEC`.

        The season of seconds is the hour, of minutes and hours the day, of days the week, of
        months and quarters the year; weeks and years have none. A multiple divides it: half hours
        have a season of 48. A multiple that does not divide it has none.

        Raises:
            ValueError: If the frequency is unknown.
        """
        match = re.fullmatch(r"(\d*)([A-Za-z]+)(-[A-Z]+)?", frequency)
        unit = next((u for u in _UNITS if match and match[2] in u.aliases), None)
        if match is None or unit is None:
            known = ", ".join(unit.aliases[0] for unit in _UNITS)
            raise ValueError(
                f"The frequency {frequency!r} is unknown; give one of {known}, "
                "with a multiple if need be, such as 30min."
            )
        multiple = int(match[1] or 1)
        season = unit.season // multiple if unit.season % multiple == 0 else 1
        return cls(unit.counter(match[3] or ""), multiple, season)

    @classmethod
    def infer(cls, candidates: list[Any]) -> Calendar:
        """Finds the frequency of the first series of time stamps that is regular.

        Raises:
            ValueError: If none is.
        """
        for times in candidates:
            unique = pd.DatetimeIndex(times).unique().sort_values()
            regular = pd.DatetimeIndex(unique, freq="infer") if len(unique) >= 3 else unique
            if regular.freq is not None:
                return cls.parse(regular.freqstr)
        raise ValueError(
            "the frequency cannot be inferred from the time stamps, which have gaps; "
            "give it, such as frequency=D."
        )

    @classmethod
    def of_numbers(cls, step: int) -> Calendar:
        """Makes the grid of numbered time in steps of `step`, without a season."""
        return cls(lambda times: np.asarray(times, dtype=np.int64), step, 1)

    def steps(self, times: Any) -> NDArray[np.int64]:
        """Numbers time stamps `[N]` by the steps they fall in."""
        return self.count(times) // self.multiple


@dataclass(frozen=True)
class _Unit:
    """A unit of time: its pandas names, its season, and a counter given an anchor (`-SUN`)."""

    aliases: tuple[str, ...]
    season: int
    counter: Callable[[str], Callable[[Any], NDArray[np.int64]]]


def _periods(code: str) -> Callable[[str], Callable[[Any], NDArray[np.int64]]]:
    return lambda _: lambda times: pd.DatetimeIndex(times).to_period(code).asi8


def _weeks(anchor: str) -> Callable[[Any], NDArray[np.int64]]:
    return lambda times: pd.DatetimeIndex(times).to_period(f"W{anchor}").asi8


def _business_days(_: str) -> Callable[[Any], NDArray[np.int64]]:
    epoch = np.datetime64("1970-01-01")
    return lambda times: np.busday_count(
        epoch, np.asarray(pd.DatetimeIndex(times), dtype="datetime64[D]")
    )


_UNITS = (
    _Unit(("s", "S"), 3600, _periods("s")),
    _Unit(("min", "T"), 24 * 60, _periods("min")),
    _Unit(("h", "H"), 24, _periods("h")),
    _Unit(("D",), 7, _periods("D")),
    _Unit(("B",), 5, _business_days),
    _Unit(("W",), 1, _weeks),
    _Unit(("M", "MS", "ME", "BMS", "BME"), 12, _periods("M")),
    _Unit(("Q", "QS", "QE", "BQS", "BQE"), 4, _periods("Q")),
    _Unit(("Y", "YS", "YE", "BYS", "BYE", "A"), 1, _periods("Y")),
)
