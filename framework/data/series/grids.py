"""Checks of rows on a grid of time: repeated times, frequencies that differ, and holes."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from framework.data.series.stamps import FORMAT, TimeColumn

APART = "put series of different frequencies into tables of their own, or correct the frequency"
Integers = NDArray[np.int64]
FEWEST = 4  # values of a series whose frequency is judged
SPREAD = 1.15  # largest over smallest difference within a frequency: months have 28 to 31 days
FULL = 0.6  # of the steps of numbered time at least; years and weeks (202052, 202101) fill 0.52


class Rows(NamedTuple):
    """Rows of a table of series."""

    name: Any  # [rows], pandas series
    times: TimeColumn
    number: Integers  # [rows], of the row in the file, from 1 on
    origin: str  # the file, for messages


def refuse_repetitions(rows: Rows, at: Integers, series: Integers) -> None:
    """Refuses two values of a series on one step.

    Args:
        rows: All rows of the table.
        at: Which of them hold values, sorted by series and then by step, `[N]`.
        series: Numbers of their series, `[N]`.

    Raises:
        ValueError: If there are such values.
    """
    again = (np.diff(series) == 0) & (np.diff(rows.times.steps[at]) == 0)
    if not again.any():
        return
    pair = sorted(at[again.argmax() :][:2], key=lambda row: rows.times.times[row])
    one, other = (str(rows.times.times[row]) for row in pair)
    first, second = sorted(rows.number[pair].tolist())
    name, calendar = repr(rows.name.iloc[pair[0]]), rows.times.calendar
    if one != other:
        single = np.setdiff1d(series, series[:-1][again])
        names = rows.name.to_numpy()[at]
        theirs = f", that of series {names[series == single[0]][0]!r}" if len(single) else ""
        raise ValueError(
            f"{rows.origin}: frequencies differ: series {name} has values at {one} and {other} "
            f"(rows {first} and {second}), both within one step of {calendar.frequency}{theirs}; "
            f"{APART}."
        )
    clocks = ", or write UTC offsets if clocks were set back then" if calendar.within_day else ""
    raise ValueError(
        f"{rows.origin}: series {name} has two values at the time {one} (rows {first} and "
        f"{second}); keep one{clocks}."
    )


def refuse_mixed_frequencies(rows: Rows, at: Integers, series: Integers) -> None:
    """Refuses series with a value at, say, every 28th to 31st step of a grid of days.

    A series with few values, or at irregular distances, may have any missing steps.

    Args:
        rows: All rows of the table.
        at: Which of them hold values, sorted by series and then by step, `[N]`.
        series: Numbers of their series, `[N]`.

    Raises:
        ValueError: If there are such series.
    """
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    stride = np.diff(rows.times.steps[at], append=0)
    inner = np.diff(series, append=-1) == 0  # the next value is of the same series
    smallest = np.minimum.reduceat(np.where(inner, stride, np.iinfo(np.int64).max), begins)
    near = inner & (stride <= SPREAD * smallest[series])
    count, regular = (np.add.reduceat(x.astype(np.int64), begins) for x in (inner, near))
    judged = count >= FEWEST - 1
    coarse = judged & (2 * regular > count) & (smallest > 1)
    if not coarse.any():
        return
    names = rows.name.to_numpy()[at[begins]]  # [series]
    calendar, slow, fine = rows.times.calendar, int(coarse.argmax()), judged & (smallest == 1)
    grid = f" of frequency {calendar.frequency}" if not calendar.numbered else ""
    what = f"series {names[slow]!r} has a value every {smallest[slow]} steps{grid} or so"
    if fine.any():
        other = repr(names[fine.argmax()])
        raise ValueError(
            f"{rows.origin}: frequencies differ: {what}, and series {other} one every step; "
            f"{APART}."
        )
    if not calendar.numbered:
        raise ValueError(f"{rows.origin}: {what}; give the frequency of the values.")


def refuse_unclear_days(rows: Rows, at: Integers, series: Integers) -> None:
    """Refuses months of which the first has its last day, and a later one another.

    What follows has the day of the first time stamp, where that is the last one of its month that
    of all others. A frequency of month ends, such as ME, says so itself.

    Args:
        rows: All rows of the table.
        at: Which of them hold values, sorted by series and then by step, `[N]`.
        series: Numbers of their series, `[N]`.

    Raises:
        ValueError: If there are such months.
    """
    calendar = rows.times.calendar
    if not re.fullmatch(r"\d*[MQY]S(-[A-Z]+)?", calendar.frequency):
        return
    day = np.asarray(rows.times.times[at], dtype="datetime64[D]")
    last = day.astype("datetime64[M]") + 1 == (day + 1).astype("datetime64[M]")
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    wrong = last[begins][series] & ~last
    if wrong.any():
        other = wrong.argmax()
        name, begin = repr(rows.name.iloc[at[other]]), day[begins[series[other]]]
        raise ValueError(
            f"{rows.origin}: series {name} begins on {begin}, the last day of a month, and has "
            f"{day[other]} (row {rows.number[at[other]]}), which is none, so that the days after "
            "it are unclear; write the first day of each month, or give a frequency of ends."
        )


def refuse_holes(rows: Rows) -> None:
    """Refuses numbers of which most are skipped: they may spell dates in a way of their own.

    Rows without a value count, so that a table can say that its gaps are meant.

    Raises:
        ValueError: If a series has rows at too few of its steps.
    """
    groups = pd.Series(rows.times.steps).groupby(rows.name.to_numpy())
    span = groups.max() - groups.min() + 1
    sparse = (groups.nunique() < FULL * span) & (groups.nunique() >= FEWEST)
    if sparse.any():
        name = sparse.idxmax()
        at = np.flatnonzero((rows.name == name).to_numpy())
        example = ", ".join(str(rows.times.times[row]) for row in at[:FEWEST])
        raise ValueError(
            f"{rows.origin}: series {name!r} has rows at {groups.nunique()[name]} of "
            f"{span[name]} numbered steps ({example}, …); if these are dates, {FORMAT}; if not, "
            "number the steps without holes, or give those without a value an empty row."
        )
