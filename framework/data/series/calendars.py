"""Calendars: convert time stamps to steps of a regular grid and back, and know the season."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Times = NDArray[Any]  # int64, or datetime64[us]


@dataclass(frozen=True)
class Calendar:
    """A regular grid of time.

    Args:
        frequency: Pandas frequency of its time stamps, or the step of numbered time, such as "1".
        count: Numbers time stamps `[N]` by the units they fall in.
        shift: Returns the times that lie `[...]` units after others `[...]`.
        multiple: Units in a step.
        season: Steps in a season, 1 where there is none.
    """

    frequency: str
    count: Callable[[Any], Integers]
    shift: Callable[[Any, Integers], Times]
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
        return cls(frequency, unit.counter(match[3] or ""), unit.shift, multiple, season)

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
        few = max((len(set(times)) for times in candidates), default=0) < 3
        raise ValueError(
            "the frequency cannot be inferred from the time stamps, which "
            f"{'are fewer than three' if few else 'have gaps'}; give it, such as frequency=D."
        )

    @classmethod
    def of_numbers(cls, step: int) -> Calendar:
        """Makes the grid of numbered time in steps of `step`, without a season."""
        return cls(str(step), lambda times: np.asarray(times, dtype=np.int64), np.add, step, 1)

    @classmethod
    def of(cls, frequency: str) -> Calendar:
        """Makes the grid of that `frequency` again."""
        return cls.of_numbers(int(frequency)) if frequency.isdecimal() else cls.parse(frequency)

    @property
    def numbered(self) -> bool:
        """Whether times are numbers, not time stamps."""
        return self.frequency.isdecimal()

    @property
    def within_day(self) -> bool:
        """Whether the units are shorter than a day."""
        return re.fullmatch(r"\d*(s|S|min|T|h|H)", self.frequency) is not None

    def starts(self, times: Any) -> Integers:
        """Converts times `[N]` to numbers, or microseconds since 1970."""
        stored = np.asarray(times, dtype=np.int64 if self.numbered else STAMP)
        return stored.astype(np.int64)

    def steps(self, times: Any) -> Integers:
        """Numbers time stamps `[N]` by the steps they fall in."""
        return self.count(times) // self.multiple

    def times(self, start: Integers, steps: Integers) -> Times:
        """Returns the times that lie some steps after others.

        Time stamps at the end of a month, on its first or last business day where the frequency
        says so, or on any day of it stay there.

        Args:
            start: Numbers, or microseconds since 1970, `[...]`.
            steps: How many steps later, `[...]`.

        Returns:
            Numbers, or time stamps in microseconds, `[...]`.
        """
        begin = start if self.numbered else start.astype(STAMP)
        return self.shift(begin, steps * self.multiple)


def written(times: Times) -> list[Any]:
    """Converts times `[N]` to what a file holds: numbers, or texts in ISO 8601."""
    if times.dtype.kind != "M":
        return list(times.tolist())
    unit: Any = next((unit for unit in ("D", "m", "s") if _is_whole(times, unit)), "us")
    return list(np.datetime_as_string(times, unit=unit).tolist())


def _is_whole(times: Times, unit: str) -> bool:
    return bool((times == times.astype(f"datetime64[{unit}]")).all())


STAMP = "datetime64[us]"


@dataclass(frozen=True)
class _Unit:
    """A unit of time: pandas names, season, a counter given an anchor (`-SUN`), and a shift."""

    aliases: tuple[str, ...]
    season: int
    counter: Callable[[str], Callable[[Any], Integers]]
    shift: Callable[[Any, Integers], Times]


def _periods(code: str) -> Callable[[str], Callable[[Any], Integers]]:
    return lambda _: lambda times: pd.DatetimeIndex(times).to_period(code).asi8


def _weeks(anchor: str) -> Callable[[Any], Integers]:
    return lambda times: pd.DatetimeIndex(times).to_period(f"W{anchor}").asi8


def _business_days(_: str) -> Callable[[Any], Integers]:
    epoch = np.datetime64("1970-01-01")
    return lambda times: np.busday_count(
        epoch, np.asarray(pd.DatetimeIndex(times), dtype="datetime64[D]")
    )


def _lengths(code: Any) -> Callable[[Any, Integers], Times]:
    """Shifts by units of a fixed length."""
    unit = np.timedelta64(1, code).astype("timedelta64[us]")
    return lambda start, count: start + count * unit


def _later_business_days(start: Any, count: Integers) -> Times:
    day = start.astype("datetime64[D]")
    moved = np.busday_offset(day, count, roll="forward")
    return np.asarray(moved + (start - day))


def _months(number: int, business: Callable[[Any], Any] | None = None) -> Any:
    """Shifts by units of some months; to a business day of the month where `business` finds it."""

    def shift(start: Any, count: Integers) -> Times:
        month, day = start.astype("datetime64[M]"), start.astype("datetime64[D]")
        later = month + count * number
        last = _last_day(later)
        moved = np.minimum(later.astype("datetime64[D]") + (day - month), last)
        moved = np.where(day == _last_day(month), last, moved)
        if business is not None:
            moved = np.where(day == business(month), business(later), moved)
        return np.asarray(moved + (start - day))

    return shift


def _last_day(month: Any) -> Any:
    return (month + 1).astype("datetime64[D]") - 1


def _first_business_day(month: Any) -> Any:
    return np.busday_offset(month.astype("datetime64[D]"), 0, roll="forward")


def _last_business_day(month: Any) -> Any:
    return np.busday_offset(_last_day(month), 0, roll="backward")


def _monthly(code: str, season: int, number: int) -> tuple[_Unit, ...]:
    """The kinds of a unit of months: any day of it, its first and its last business day."""
    plain = (f"{code}", f"{code}S", f"{code}E", *(("A",) if code == "Y" else ()))
    return (
        _Unit(plain, season, _periods(code), _months(number)),
        _Unit((f"B{code}S",), season, _periods(code), _months(number, _first_business_day)),
        _Unit((f"B{code}E",), season, _periods(code), _months(number, _last_business_day)),
    )


_UNITS = (
    _Unit(("s", "S"), 3600, _periods("s"), _lengths("s")),
    _Unit(("min", "T"), 24 * 60, _periods("min"), _lengths("m")),
    _Unit(("h", "H"), 24, _periods("h"), _lengths("h")),
    _Unit(("D",), 7, _periods("D"), _lengths("D")),
    _Unit(("B",), 5, _business_days, _later_business_days),
    _Unit(("W",), 1, _weeks, _lengths("W")),
    *_monthly("M", 12, 1),
    *_monthly("Q", 4, 3),
    *_monthly("Y", 1, 12),
)
