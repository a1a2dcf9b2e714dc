import numpy as np
import pandas as pd
import pytest

from framework.data.series.calendars import Calendar
from framework.data.series.module import SeriesData
from framework.data.series.tables import LongTable, WideTable


def long_frame():
    """Two monthly series in any order; b starts later, a misses a row and a value."""
    a = pd.DataFrame({"id": "a", "time": pd.date_range("2020-01-31", periods=8, freq="ME")})
    b = pd.DataFrame({"id": "b", "time": pd.date_range("2020-03-31", periods=5, freq="ME")})
    frame = pd.concat([a, b], ignore_index=True)
    frame["value"] = np.arange(13.0)
    frame.loc[3, "value"] = np.nan
    return frame.drop(index=5).sample(frac=1, random_state=0)


def series_of(panel):
    """The series of a panel by name."""
    spans = zip(panel.name, panel.first, panel.length, strict=True)
    return {str(name): panel.values[first : first + n] for name, first, n in spans}


WANTED = {"a": [0, 1, 2, np.nan, 4, np.nan, 6, 7], "b": [8, 9, 10, 11, 12]}


def write(frame, path):
    match path.suffix:
        case ".parquet":
            frame.to_parquet(path)
        case _:
            frame.to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_long_tables_are_sorted_and_gaps_are_missing(tmp_path, suffix):
    panel = LongTable(write(long_frame(), tmp_path / f"panel{suffix}")).read()
    for name, values in series_of(panel).items():
        np.testing.assert_array_equal(values, WANTED[name])
    assert (panel.season, panel.horizon) == (12, None)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_wide_tables_say_the_same(tmp_path, suffix):
    wide = long_frame().pivot(index="time", columns="id", values="value").reset_index()
    wide = wide.sample(frac=1, random_state=1)
    panel = WideTable(write(wide, tmp_path / f"wide{suffix}"), frequency="ME").read()
    for name, values in series_of(panel).items():
        np.testing.assert_array_equal(values, WANTED[name])
    only = WideTable(write(wide, tmp_path / f"wide{suffix}"), columns=["b"], frequency="ME").read()
    assert only.name.tolist() == ["b"]


def test_columns_have_the_names_that_are_given(tmp_path):
    frame = long_frame().rename(columns={"id": "shop", "time": "month", "value": "sales"})
    source = LongTable(write(frame, tmp_path / "p.csv"), id="shop", time="month", value="sales")
    np.testing.assert_array_equal(series_of(source.read())["b"], WANTED["b"])


@pytest.mark.parametrize("parts", [1, 10**3, 10**9])
def test_numbers_that_may_be_unix_times_are_warned_of(tmp_path, parts):
    """They step by the hour, but nothing says that a day has 24 of these."""
    times = (1735689600 + 3600 * np.arange(6)) * parts
    table = pd.DataFrame({"id": "a", "time": times, "value": np.arange(6.0)})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(UserWarning, match=r"Unix times, .* such as 2025-01-01T00:00:00\."):
        panel = LongTable(str(tmp_path / "t.csv")).read()
    assert (panel.season, panel.length.tolist()) == (1, [6])


def test_numbered_time_steps_by_the_greatest_common_divisor(tmp_path):
    frame = pd.DataFrame({"id": 1, "time": [1990, 2000, 1996, 1992], "value": [0.0, 5, 3, 1]})
    frame = pd.concat([frame, frame.assign(id=2, time=frame.time + 1)])
    panel = LongTable(write(frame, tmp_path / "p.csv")).read()
    for values in series_of(panel).values():
        np.testing.assert_array_equal(values, [0, 1, np.nan, 3, np.nan, 5])
    assert panel.season == 1


@pytest.mark.parametrize(
    ("frequency", "season"),
    [
        *(("s", 3600), ("min", 1440), ("5min", 288), ("30min", 48), ("h", 24), ("2h", 12)),
        *(("D", 7), ("B", 5), ("W-SUN", 1), ("W-WED", 1), ("MS", 12), ("ME", 12)),
        *(("QS-OCT", 4), ("QE-DEC", 4), ("YS", 1), ("YE-JUN", 1), ("7D", 1), ("2QE", 2)),
    ],
)
def test_calendars_number_the_dates_of_pandas(frequency, season):
    times = pd.date_range("2019-03-01", periods=40, freq=frequency)
    calendar = Calendar.parse(frequency)
    assert calendar.season == season
    steps = calendar.steps(times)
    if calendar.multiple == 1 or frequency.endswith(("min", "h")):
        np.testing.assert_array_equal(steps - steps[0], np.arange(40))
    inferred = Calendar.infer([times[:2], times])
    np.testing.assert_array_equal(np.diff(inferred.steps(times)), np.diff(steps))


def test_time_zones_do_not_tear_gaps(tmp_path):
    times = pd.date_range("2021-03-27", periods=72, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"id": "a", "time": times.astype(str), "value": np.arange(72.0)})
    panel = LongTable(write(frame, tmp_path / "p.csv")).read()
    np.testing.assert_array_equal(panel.values, np.arange(72))


def test_a_changed_file_is_read_anew(tmp_path):
    frame = long_frame()
    for factor in (1, 10):
        changed = frame.assign(value=frame.value * factor)
        data = SeriesData(LongTable(write(changed, tmp_path / "p.csv")), horizon=1)
        assert np.nanmax(data.panel.compact().values) == 12 * factor


def edit(**columns):
    return lambda frame: frame.assign(**columns)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (edit(), {"value": "sale"}, "has no column 'sale'; it has id, time, value"),
        (edit(value="x"), {}, "column 'value' in row 1 is 'x', which is not a number"),
        (edit(value=np.inf), {}, "column 'value' in row 1 is infinite"),
        (edit(value=np.nan), {}, "series 'a' has no finite value; leave it out"),
        (lambda f: f.iloc[:0], {"frequency": "D"}, "has no finite value; check its rows"),
        (lambda f: pd.concat([f, f.iloc[[0]]]), {}, r"two values .* \(rows 1 and 13\); keep"),
        (edit(time="soon"), {}, "the time 'soon' in row 1 is not a time stamp; write"),
        (edit(time=0.5), {}, "the time '0.5' in row 1 is not a whole number"),
        (edit(time=None), {}, "the time in row 1 is empty"),
        (edit(id=None), {}, "column 'id' in row 1 is empty"),
        (lambda f: f[f.id == "a"], {}, r"the frequency cannot be inferred .* such as frequency=D"),
        (edit(), {"frequency": "fortnight"}, "frequency 'fortnight' is unknown; give one of s,"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path, change, options, message):
    path = write(change(long_frame()), tmp_path / "p.csv")
    with pytest.raises(ValueError, match=message):
        LongTable(path, **options).read()


def test_a_missing_file_and_an_empty_table_get_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"LongTable: path='/no/where\.csv' is not a file"):
        _ = SeriesData(LongTable("/no/where.csv"), horizon=1).spec
    path = write(long_frame()[["time"]], tmp_path / "p.csv")
    with pytest.raises(ValueError, match="has no column besides 'time'"):
        WideTable(path).read()
