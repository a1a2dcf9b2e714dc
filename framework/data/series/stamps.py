"""Time columns: time stamps, also with UTC offsets, and whole numbers that spell dates."""

from __future__ import annotations

import warnings
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from framework.data.series.calendars import Calendar

TRIED = 32  # series whose time stamps are inspected to find the frequency
DIGITS = {6: "%Y%m", 8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Formats of whole numbers that spell dates, by their number of digits."""
YEARS = (1800, 2199)  # of dates spelled by whole numbers
UNIX = (10**9, 4 * 10**9)  # seconds since 1970 of the years 2001 to 2096
PARTS = (1, 10**3, 10**6, 10**9)  # of a second, that Unix times count
MISTAKES = 0.1  # of numbers at most, or else they are not meant as dates
OFFSET = r"(?:T|\s|:)\d{2}(?:[.,]\d+)?\s?(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$"
"""The end of a time stamp with a UTC offset."""
FORMAT = "write year, month and day, as 2026-01-31 or 2026-01-31T12:00"


class TimeColumn(NamedTuple):
    """The time of every row, on a calendar."""

    steps: NDArray[np.int64]  # [rows], numbers of the steps of the calendar
    times: Any  # [rows], numbers or time stamps
    calendar: Calendar


class Clock(NamedTuple):
    """Time stamps `[rows]` without offsets: of UTC, and as the clocks on the wall showed them."""

    utc: Any
    wall: Any


def read_times(time: Any, name: Any, frequency: str | None, origin: str) -> TimeColumn:
    """Reads a time column and finds its calendar.

    Whole numbers that all spell dates, such as 201501 or 20240131, are dates. Others number the
    steps. Steps of a day or more follow the clocks on the wall, so that changes to and from
    daylight saving time and offsets move nothing to another day; shorter ones follow UTC.

    Args:
        time: Pandas series of the times, `[rows]`.
        name: Pandas series of the names of the series, `[rows]`.
        frequency: Pandas frequency; inferred if not given.
        origin: The file, for messages.

    Raises:
        ValueError: If a time is missing or cannot be read, or the frequency cannot be inferred.
    """
    _require(~time.isna().to_numpy(), time, origin, "is empty; give every row its time.")
    numbers = _whole_numbers(time, origin)
    if numbers is None:
        return _on_calendar(_clock(time, origin), name, frequency, origin)
    dates = _spelled_dates(numbers)
    if dates is not None:
        _require(dates.notna(), time, origin, f"is not a date, as others are; {FORMAT}.")
    if dates is None and frequency is None:
        _warn_of_unix_times(numbers, origin)
        return _numbered(numbers, name.to_numpy())
    if dates is None:
        dates = _years(numbers, frequency, origin)
    return _on_calendar(Clock(dates, dates), name, frequency, origin)


def spell_dates(names: list[str]) -> bool:
    """Whether texts are dates or years, as the column names of a transposed table are."""
    if not all(name[:4].isdigit() for name in names):
        return False
    if all(name.isdigit() for name in names):
        numbers = np.array(names, dtype=np.int64)
        return _are_years(numbers) or _spelled_dates(numbers) is not None
    return bool(pd.to_datetime(pd.Series(names), format="ISO8601", errors="coerce").notna().all())


def _whole_numbers(time: Any, origin: str) -> NDArray[np.int64] | None:
    """Returns numbers, also those written as text; None if the column holds something else."""
    if pd.api.types.is_bool_dtype(time):
        raise ValueError(
            f"{origin}: the time column holds {time.iloc[0]}; give time stamps or whole numbers."
        )
    if not pd.api.types.is_numeric_dtype(time):
        text = time.astype(str)
        # Of four digits, text is a year; pandas reads it, as it does 20240131
        return text.astype(np.int64).to_numpy() if text.str.fullmatch(r"\d{5,18}").all() else None
    values = time.to_numpy(dtype=np.float64)
    whole = np.isfinite(values) & (values % 1 == 0) & (np.abs(values) < 2.0**63)
    wrong = "is not a whole number; number the steps, or give time stamps."
    _require(whole, time, origin, wrong)
    return np.asarray(time.to_numpy(dtype=np.int64))


def _spelled_dates(numbers: NDArray[np.int64]) -> Any:
    """Reads whole numbers such as 201501 or 20240131 as dates; None unless nearly all of them are.

    Of the months of a year, 1 to 12 of 100 numbers are; a date that is not one is a mistake.
    """
    if not len(numbers) or numbers.min() < 10**5:
        return None
    digits = len(str(numbers.max()))
    years = numbers // 10 ** (digits - 4) if digits in DIGITS else numbers
    if years.min() < YEARS[0] or years.max() > YEARS[1]:
        return None
    codes, unique = pd.factorize(numbers)
    dates = pd.to_datetime(pd.Series(unique.astype(str)), format=DIGITS[digits], errors="coerce")
    return pd.DatetimeIndex(dates)[codes] if dates.isna().mean() < MISTAKES else None


def _are_years(numbers: NDArray[np.int64]) -> bool:
    return len(numbers) > 0 and YEARS[0] <= numbers.min() and numbers.max() <= YEARS[1]


def _years(numbers: NDArray[np.int64], frequency: str | None, origin: str) -> Any:
    """Reads years as time stamps, because a frequency was given."""
    if not _are_years(numbers):
        raise ValueError(
            f"{origin}: frequency={frequency} was given, but the time column holds numbers "
            f"({numbers[0]} in row 1) that spell no dates; {FORMAT}, or drop the frequency."
        )
    return pd.to_datetime(pd.Series(numbers.astype(str)), format="%Y").pipe(pd.DatetimeIndex)


def _warn_of_unix_times(numbers: NDArray[np.int64], origin: str) -> None:
    """Warns of numbers that may be seconds since 1970, or milli-, micro- or nanoseconds."""
    for parts in PARTS:
        if len(numbers) and UNIX[0] <= numbers.min() // parts and numbers.max() // parts < UNIX[1]:
            stamp = np.datetime64(int(numbers[0]) // parts, "s")
            warnings.warn(
                f"{origin}: the time column holds numbers such as {numbers[0]}, which number the "
                f"steps; if they are Unix times, write time stamps, such as {stamp}.",
                stacklevel=2,
            )
            return


def _numbered(numbers: NDArray[np.int64], name: NDArray[Any]) -> TimeColumn:
    """Numbers steps from the first of each series on, in units of their common divisor."""
    first = pd.Series(numbers).groupby(name).transform("min").to_numpy()
    since = numbers - first
    calendar = Calendar.of_numbers(max(1, int(np.gcd.reduce(since)) if len(since) else 1))
    return TimeColumn(calendar.steps(since), numbers, calendar)


def _on_calendar(clock: Clock, name: Any, frequency: str | None, origin: str) -> TimeColumn:
    """Finds the calendar of time stamps, and the steps on it."""
    calendar = _calendar(clock, name, frequency, origin)
    stamps = clock.utc if calendar.within_day else clock.wall
    return TimeColumn(calendar.steps(stamps), stamps, calendar)


def _calendar(clock: Clock, name: Any, frequency: str | None, origin: str) -> Calendar:
    if frequency is not None:
        return Calendar.parse(frequency)
    groups = list(
        islice(pd.Series(name.to_numpy()).groupby(name.to_numpy()).indices.values(), TRIED)
    )
    try:
        return Calendar.infer([clock.utc[group] for group in groups])
    except ValueError as error:
        failure = error
    try:
        return Calendar.infer([clock.wall[group] for group in groups])
    except ValueError:
        raise ValueError(f"{origin}: {failure}") from failure


def _clock(time: Any, origin: str) -> Clock:
    """Reads time stamps; those without an offset count as UTC."""
    if isinstance(time.dtype, pd.DatetimeTZDtype):
        stamps = pd.DatetimeIndex(time)
        return Clock(stamps.tz_convert("UTC").tz_localize(None), stamps.tz_localize(None))
    if time.dtype.kind == "M":
        return Clock(pd.DatetimeIndex(time), pd.DatetimeIndex(time))
    codes, unique = pd.factorize(time.astype(str))
    text = pd.Series(unique, dtype=str)
    utc = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce").dt.tz_localize(None)
    readable = (utc.notna() & text.str.match(r"\s*\d{4}")).to_numpy()  # "now" is not
    _require(readable[codes], time, origin, f"is not a time stamp; {FORMAT}.")
    zoned = text.str.contains(OFFSET).to_numpy()
    if not zoned.any():
        return Clock(pd.DatetimeIndex(utc)[codes], pd.DatetimeIndex(utc)[codes])
    _require(
        zoned[codes], time, origin, "has no UTC offset, as others have; give all one or none."
    )
    local = text.str.replace(r"\s?(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$", "", regex=True)
    wall = pd.to_datetime(local, format="ISO8601")
    return Clock(pd.DatetimeIndex(utc)[codes], pd.DatetimeIndex(wall)[codes])


def _require(right: NDArray[np.bool_], time: Any, origin: str, remedy: str) -> None:
    """Refuses the first row that is not right; rows are those of the file, counted from 1."""
    if right.all():
        return
    at = int(np.argmin(right))
    value = time.iloc[at]
    what = "" if pd.isna(value) else f" {str(value)!r}"
    raise ValueError(f"{origin}: the time{what} in row {time.index[at] + 1} {remedy}")
