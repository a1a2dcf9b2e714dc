"""Columns beside series: finds them in a table, and checks them against those of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data import SeriesSpec
from framework.data.series.calendars import written
from framework.data.series.covariates import KINDS, Column, Covariates
from framework.data.series.panels import Panel, PanelSource
from framework.data.series.stamps import TimeColumn

Integers = NDArray[np.int64]


def check_columns(
    owner: str, columns: Mapping[str, str | Sequence[str] | None], taken: Sequence[str]
) -> tuple[Column, ...]:
    """Returns the columns that an option of each kind names.

    Args:
        owner: The class with these options, for messages.
        columns: Names by kind, or a text in which commas separate them.
        taken: Columns that have another use.

    Raises:
        ValueError: If a column is named twice.
    """
    given = {kind: columns[kind] or () for kind in KINDS}
    lists = {kind: x.split(",") if isinstance(x, str) else x for kind, x in given.items()}
    named = tuple(Column(name.strip(), kind) for kind, names in lists.items() for name in names)
    uses = [*taken, *(column.name for column in named)]
    if twice := [name for name in uses if uses.count(name) > 1]:
        raise ValueError(
            f"{owner}: column {twice[0]!r} has two uses; name it once, as id, time, value, known, "
            "past or static."
        )
    return named


def future_covariates(
    source: PanelSource, panel: Panel, spec: SeriesSpec, horizon: int
) -> Covariates | None:
    """Reads the covariates that a model needs to forecast what follows the series of a panel.

    Args:
        source: Where the series come from.
        panel: The series.
        spec: Facts of the data that the model was trained on.
        horizon: Steps to forecast.

    Raises:
        ValueError: If they are not those of training, or not known as far as the horizon.
    """
    require_columns(source, spec)
    covariates = source.covariates()
    if covariates is None or not covariates.mask("known").any():
        return covariates
    ahead = covariates.length - panel.length
    if (ahead < horizon).any():
        worst = int(ahead.argmin())
        known = ", ".join(column.name for column in spec.covariates if column.kind == "known")
        raise ValueError(
            f"Series {str(panel.name[worst])!r} has values of {known} for {ahead[worst]} of the "
            f"{horizon} steps to forecast; add rows behind its last value that hold them and "
            "leave its value empty, or lower the horizon."
        )
    return covariates


def require_columns(source: PanelSource, spec: SeriesSpec) -> None:
    """Checks that the columns beside series are those of training.

    Raises:
        ValueError: If they are not.
    """
    trained = tuple(Column(column.name, column.kind) for column in spec.covariates)
    if source.beside != trained:
        raise ValueError(
            f"The model was trained with {_listed(trained)}, the series come with "
            f"{_listed(source.beside)}; name the same columns in the same order."
        )


def _listed(columns: Sequence[Column]) -> str:
    named = [f"{column.kind} {column.name}" for column in columns]
    return f"the covariates {', '.join(named)}" if named else "no covariates"


def refuse_covariates(owner: str, source: PanelSource) -> None:
    """Refuses a source with covariates, where only values are read.

    Raises:
        ValueError: If it has some.
    """
    if source.beside:
        names = ", ".join(column.name for column in source.beside)
        raise ValueError(
            f"{owner} reads no covariates; drop known, past and static ({names}), or use "
            "SeriesData."
        )


def assemble_covariates(
    rows: Any,
    columns: Mapping[Column, NDArray[np.float64]],
    times: TimeColumn,
    panel: Panel,
    origin: str,
) -> Covariates:
    """Puts columns of a table on the grid of its panel.

    Args:
        rows: Names and values of the series, a data frame.
        columns: The covariates of the rows, NaN where unknown.
        times: The times of the rows.
        panel: What was read of the same rows.
        origin: The file, for messages.

    Raises:
        ValueError: If two rows are of one step, a known column is empty between the first and the
            last value of a series, or a static one is empty or changes within a series.
    """
    series = pd.Categorical(rows["name"], categories=panel.name).codes.astype(np.int64)
    observed = rows["value"].notna().to_numpy()
    begin = pd.Series(times.steps[observed]).groupby(series[observed]).min().to_numpy()
    offset = times.steps - begin[series]
    _refuse_repeated(series, offset, rows, origin)
    kept = offset >= 0
    longest = pd.Series(offset[kept] + 1).groupby(series[kept]).max().to_numpy()
    length = np.maximum(panel.length, longest)
    first = np.cumsum(length) - length
    values = np.full((length.sum(), len(columns)), np.nan, dtype=np.float32)
    place = first[series[kept]] + offset[kept]
    for k, (column, numbers) in enumerate(columns.items()):
        if column.kind == "static":
            each = _static(pd.Series(numbers, name=column.name), series, panel, origin)
            values[:, k] = np.repeat(each, length)
        else:
            values[place, k] = numbers[kept]
    found = Covariates(tuple(columns), values, first, length)
    return found._replace(length=_known_until(found, panel, times, origin))


def _refuse_repeated(series: Integers, offset: Integers, rows: Any, origin: str) -> None:
    again = pd.DataFrame({"series": series, "offset": offset}).duplicated().to_numpy()
    if again.any():
        at = int(again.argmax())
        raise ValueError(
            f"{origin}: series {rows['name'].iloc[at]!r} has two rows of one time (the second is "
            f"row {at + 1}); keep one, which has its covariates."
        )


def _static(column: Any, series: Integers, panel: Panel, origin: str) -> Any:
    """Returns the value of each series, `[series]`."""
    groups = column.groupby(series)
    wrong = (groups.nunique(dropna=False) != 1) | groups.first().isna()
    if wrong.any():
        raise ValueError(
            f"{origin}: the static column {column.name!r} is empty or changes within series "
            f"{str(panel.name[wrong.to_numpy().argmax()])!r}; give all its rows one number, or "
            "name the column as known or past."
        )
    return groups.first().to_numpy()


def _known_until(found: Covariates, panel: Panel, times: TimeColumn, origin: str) -> Integers:
    """Returns for how many steps of each series all known columns are there, `[series]`."""
    until = found.length.copy()
    known = np.flatnonzero(found.mask("known"))
    for k, (first, length) in enumerate(zip(found.first, found.length, strict=True)):
        missing = np.isnan(found.values[first : first + length, known])
        if missing.any():
            until[k] = step = int(missing.any(1).argmax())
            if step < panel.length[k]:
                name = found.columns[known[missing[step].argmax()]].name
                time = times.calendar.times(panel.start[k : k + 1], np.array([step]))
                raise ValueError(
                    f"{origin}: the known column {name!r} of series {str(panel.name[k])!r} has no "
                    f"number at {written(time)[0]}; give one at every step, or name it as past."
                )
    return until
