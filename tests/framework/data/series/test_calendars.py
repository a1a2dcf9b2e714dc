"""Times after others on a grid, against the dates of pandas."""

import numpy as np
import pandas as pd
import pytest

from framework.data.series.calendars import Calendar, written
from framework.data.series.panels import load_panel, store_panel
from framework.data.series.tables import LongTable

FREQUENCIES = [
    *("s", "15min", "h", "2h", "D", "7D", "B", "W-WED", "2W-SUN"),
    *("MS", "ME", "2MS", "BMS", "BME", "QS-OCT", "QE-DEC", "BQE-DEC", "YS", "YE-JUN", "BYS"),
]


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_times_are_the_dates_of_pandas(frequency):
    dates = pd.date_range("2019-01-01 06:30", periods=60, freq=frequency)
    calendar = Calendar.parse(frequency)
    start = calendar.starts(dates[:1])
    times = calendar.times(start, np.arange(60))
    np.testing.assert_array_equal(times, dates.to_numpy("datetime64[us]"))
    np.testing.assert_array_equal(np.diff(calendar.steps(times)), 1)


@pytest.mark.parametrize(
    ("frequency", "start", "later"),
    [
        ("MS", "2023-01-15", ["2023-01-15", "2023-02-15", "2023-03-15"]),
        ("ME", "2023-01-30", ["2023-01-30", "2023-02-28", "2023-03-30"]),
        ("ME", "2023-04-30", ["2023-04-30", "2023-05-31", "2023-06-30"]),
        ("YS", "2024-02-29", ["2024-02-29", "2025-02-28", "2026-02-28"]),
        ("h", "2024-02-28T23", ["2024-02-28T23:00", "2024-02-29T00:00", "2024-02-29T01:00"]),
    ],
)
def test_stamps_beside_the_grid_keep_their_day(frequency, start, later):
    calendar = Calendar.of(frequency)
    times = calendar.times(calendar.starts([start]), np.arange(3))
    assert written(times) == later


def test_numbered_time_goes_on_in_its_step():
    calendar = Calendar.of(Calendar.of_numbers(10).frequency)
    assert written(calendar.times(np.array([1990]), np.arange(3))) == [1990, 2000, 2010]


@pytest.mark.parametrize(
    ("first", "second"), [("2020-01-31", "2020-03-31"), (1990, 1992)], ids=["dates", "numbers"]
)
def test_a_stored_panel_knows_the_first_time_of_each_series(tmp_path, first, second):
    """Empty rows on either side are no part of it."""
    dates = pd.date_range("2019-12-31", periods=6, freq="ME").strftime("%Y-%m-%d")
    times = list(dates) if isinstance(first, str) else list(range(1989, 1995))
    values = {"a": [np.nan, 1, 2, 3, 4, np.nan], "b": [np.nan, np.nan, np.nan, 5, 6, 7]}
    parts = [pd.DataFrame({"id": k, "time": times, "value": v}) for k, v in values.items()]
    pd.concat(parts).sample(frac=1, random_state=0).to_csv(tmp_path / "p.csv", index=False)
    panel = load_panel(store_panel(LongTable(str(tmp_path / "p.csv"))))
    calendar = Calendar.of(panel.frequency)
    assert written(calendar.times(panel.start, np.zeros(2, np.int64))) == [first, second]
