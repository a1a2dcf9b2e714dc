"""Tables as people write them: each is read to the right series, or refused in one sentence."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from framework.data.series.tables import LongTable, WideTable

MONTHS = [f"{year}{month:02d}" for year in range(2015, 2020) for month in range(1, 13)]
WEEKS = [f"{year}{week:02d}" for year in range(2015, 2020) for week in range(1, 53)]
QUARTERS = [f"{year}{quarter}" for year in range(2015, 2020) for quarter in range(1, 5)]
DAYS = [str(day.date()) for day in pd.date_range("2024-01-01", periods=60)]
FIRSTS = [str(day.date()) for day in pd.date_range("2020-01-01", periods=48, freq="MS")]
EVERY_DAY = [str(day.date()) for day in pd.date_range(FIRSTS[0], FIRSTS[-1])]
SERIALS = (pd.to_datetime(FIRSTS) - pd.Timestamp("1899-12-30")).days  # as spreadsheets store dates


def rows(times, values=None, name="a"):
    values = range(len(times)) if values is None else values
    return [f"{name},{time},{value}" for time, value in zip(times, values, strict=True)]


def long(tmp_path, *series, header="id,time,value", **options):
    lines = [header, *(row for some in series for row in some)]
    (tmp_path / "p.csv").write_text("\n".join(lines))
    return LongTable(str(tmp_path / "p.csv"), **options).read()


def wide(tmp_path, *lines, **options):
    (tmp_path / "p.csv").write_text("\n".join(lines))
    return WideTable(str(tmp_path / "p.csv"), **options).read()


def instants(start, periods, freq, zone):
    return [t.isoformat() for t in pd.date_range(start, periods=periods, freq=freq, tz=zone)]


@pytest.mark.parametrize(
    ("times", "frequency", "season"),
    [
        (MONTHS, None, 12),
        (MONTHS, "MS", 12),
        ([day.replace("-", "") for day in DAYS], None, 7),
        ([f"{t:%Y%m%d%H}" for t in pd.date_range("2024-01-01", periods=60, freq="h")], None, 24),
        (range(1990, 2010), None, 1),
        (range(1990, 2010), "YS", 1),
        ([202101, 202102, 202103, 202104], None, 12),
        (range(202095, 202145), None, 1),  # a counter
        (range(17, 40), None, 1),
        (instants("2021-10-25", 12, "D", "Europe/Berlin"), None, 7),
        (instants("2021-01-01", 24, "MS", "America/New_York"), None, 12),
        (instants("2021-01-01", 24, "MS", "Europe/Berlin"), "MS", 12),
        (instants("2021-10-30", 48, "h", "Europe/Berlin"), None, 24),
        (instants("2021-10-30", 48, "h", "Europe/Berlin"), "h", 24),
    ],
)
def test_every_time_is_a_step(tmp_path, times, frequency, season):
    order = np.random.default_rng(0).permutation(len(times))
    shuffled = rows([times[k] for k in order], order)
    panel = long(tmp_path, shuffled, frequency=frequency)
    np.testing.assert_array_equal(panel.values, np.arange(len(times)))
    assert panel.season == season
    table = [f"{times[k]},{k},{-k}" for k in order]
    panel = wide(tmp_path, "time,a,b", *table, frequency=frequency)
    np.testing.assert_array_equal(panel.values[: len(times)], np.arange(len(times)))
    assert panel.season == season


@pytest.mark.parametrize(
    ("times", "value"),
    [
        (pd.array([7] * 9, dtype="Int64"), "7"),
        (pd.Categorical(["007"] * 9), "007"),
        (["NA"] * 9, "NA"),
        ([True] * 9, "True"),
    ],
)
def test_names_of_any_type_are_text(tmp_path, times, value):
    days = pd.date_range("2024-01-01", periods=9, tz="US/Pacific")
    frame = pd.DataFrame({"id": times, "time": days, "value": [Decimal(k) for k in range(9)]})
    frame.to_parquet(tmp_path / "p.parquet")
    panel = LongTable(str(tmp_path / "p.parquet")).read()
    assert (panel.name.tolist(), panel.season) == ([value], 7)
    np.testing.assert_array_equal(panel.values, np.arange(9))


def test_a_data_frame_is_read_as_its_file_is(tmp_path):
    """Also with the times as its index, and as a table of Arrow."""
    times = pd.date_range("2020-01-01", periods=5, freq="D", tz="Europe/Vienna")
    frame = pd.DataFrame({"id": ["007", "7"] * 5, "time": times.repeat(2), "value": range(10)})
    path = tmp_path / "t.parquet"
    frame.to_parquet(path)
    given = (path, frame, frame.set_index("time"), pa.Table.from_pandas(frame))
    expected, *others = [LongTable(table).read() for table in given]
    assert expected.name.tolist() == ["007", "7"]
    for panel in others:
        for one, other in zip(panel, expected, strict=True):
            assert np.array_equal(one, other)
    wide = WideTable(pd.DataFrame({"time": [1, 2, 3], "a": [1.0, 2.0, 3.0]})).read()
    assert wide.values.tolist() == [1.0, 2.0, 3.0]


def test_what_is_no_table_is_refused():
    with pytest.raises(ValueError, match=r"^LongTable: path is a list; give the path of a table"):
        LongTable([1, 2])
    with pytest.raises(ValueError, match=r"^LongTable: path: the data frame cannot be written"):
        LongTable(pd.DataFrame({"value": [1, "a"]}))


def test_zeros_before_a_number_make_another_name(tmp_path):
    panel = long(tmp_path, rows(DAYS[:30], name="007"), rows(DAYS[:30], name="7"))
    assert panel.name.tolist() == ["007", "7"]
    assert panel.length.tolist() == [30, 30]


@pytest.mark.parametrize("times", [pd.Series(DAYS), pd.to_datetime(pd.Series(DAYS)).dt.date])
def test_dates_of_any_type_are_dates(tmp_path, times):
    pd.DataFrame({"time": times, "a": range(60)}).to_parquet(tmp_path / "p.parquet")
    assert isinstance(times[0], str | datetime.date)
    assert WideTable(str(tmp_path / "p.parquet")).read().season == 7


def test_an_index_is_a_column_only_if_it_is_named(tmp_path):
    frame = pd.DataFrame({7: range(9), 70: range(9)}, index=pd.to_datetime(DAYS[:9]))
    frame.to_parquet(tmp_path / "p.parquet")
    path = str(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="no column 'time'; it has 7, 70, __index_level_0__"):
        WideTable(path).read()
    assert WideTable(path, time="__index_level_0__").read().name.tolist() == ["7", "70"]
    frame.rename_axis("time").to_parquet(path)
    assert WideTable(path).read().name.tolist() == ["7", "70"]
    frame.set_axis(["7", "70"], axis=1).rename_axis("row").assign(time=DAYS[:9]).to_parquet(path)
    assert WideTable(path).read().name.tolist() == ["7", "70"]


def test_the_index_that_pandas_writes_to_csv_is_left_out(tmp_path):
    frame = pd.DataFrame({"time": DAYS, "a": range(60)})
    frame.to_csv(tmp_path / "p.csv")
    with pytest.warns(UserWarning, match=r"p.csv': column 'Unnamed: 0' has no name .* left out"):
        panel = WideTable(str(tmp_path / "p.csv")).read()
    assert panel.name.tolist() == ["a"]
    frame.assign(id="a").to_csv(tmp_path / "p.csv")
    panel = LongTable(str(tmp_path / "p.csv"), value="a").read()
    np.testing.assert_array_equal(panel.values, np.arange(60))
    frame.set_index("time").rename_axis(None).to_csv(tmp_path / "p.csv")
    assert WideTable(str(tmp_path / "p.csv"), time="Unnamed: 0").read().season == 7


def test_commas_at_the_ends_of_rows_move_no_column(tmp_path):
    panel = long(tmp_path, [row + "," for row in rows(DAYS)])
    np.testing.assert_array_equal(panel.values, np.arange(60))


def test_series_with_few_values_or_irregular_ones_are_kept(tmp_path):
    gaps = [EVERY_DAY[k] for k in (0, 5, 6, 17, 80, 81, 300)]
    panel = long(tmp_path, rows(EVERY_DAY), rows(gaps, name="b"), rows(FIRSTS[:3], name="c"))
    assert panel.length.tolist() == [len(EVERY_DAY), 301, 61]


MIXED = "frequencies differ: series 'b' has a value every 28 steps of frequency D or so, and se"


@pytest.mark.parametrize(
    ("series", "options", "message"),
    [
        (
            [rows(WEEKS)],
            {},
            r"'a' has rows at 260 of 452 numbered steps \(201501, 201502, .*dates",
        ),
        ([rows(QUARTERS)], {}, "'a' has rows at 20 of 44 numbered steps"),
        ([rows(SERIALS)], {}, "'a' has rows at 48 of "),
        ([rows([*MONTHS, "202013"])], {}, "the time '202013' in row 61 is not a date, as others"),
        ([rows([*range(20240201, 20240230), 20240230])], {}, "'20240230' in row 30 is not a date"),
        ([rows(range(9))], {"frequency": "D"}, r"numbers \(0 in row 1\) that spell no dates; wri"),
        ([rows(["True", "False"])], {}, "the time column holds True"),
        ([rows(EVERY_DAY), rows(FIRSTS, name="b")], {}, MIXED + "ries 'a' one every step"),
        ([rows(EVERY_DAY), rows(FIRSTS, name="b")], {"frequency": "D"}, MIXED),
        (
            [rows(EVERY_DAY), rows(FIRSTS, name="b")],
            {"frequency": "MS"},
            r"differ: series 'a' has values at 2020-01-01.* and 2020-01-02.* \(rows 1 and 2\), "
            "both within one step of MS, that of series 'b'",
        ),
        ([rows(FIRSTS), rows(EVERY_DAY, name="b")], {}, "'b' has values at 2020-01-01.*of MS, th"),
        ([rows(FIRSTS)], {"frequency": "D"}, "'a' has a value every 28 steps of frequency D or"),
        ([rows(DAYS + DAYS[3:4])], {}, r"two values at the time 2024-01-04.* \(rows 4 and 61\)"),
        (
            [rows([f"2021-10-31T0{k}:00" for k in (1, 2, 2, 3)])],
            {"frequency": "h"},
            r"\(rows 2 and 3\); keep one, or write UTC offsets if clocks were set back",
        ),
        (
            [rows(["2021-10-31T01:00+01:00", "2021-10-31T02:00"])],
            {},
            "'2021-10-31T02:00' in row 2 has no UTC offset, as others have",
        ),
        (
            [rows([f"2023-0{month}-28" for month in range(2, 7)])],
            {"frequency": "MS"},
            r"begins on 2023-02-28, the last day of a month, and has 2023-03-28 \(row 2\), which",
        ),
        (
            [rows(["2020-01-31", "01/02/2020"])],
            {},
            "'01/02/2020' in row 2 is not a time stamp; wr",
        ),
        ([rows(["31.01.2020", "01.02.2020"])], {}, "'31.01.2020' in row 1 is not a time stamp"),
        ([rows(["2020-01-31", "now"])], {}, "'now' in row 2 is not a time stamp"),
        ([rows(["2020", "2021.5"])], {}, "'2021.5' in row 2 is not a whole number"),
        ([[row + ",3" for row in rows(DAYS)]], {}, "its rows have more cells than its header"),
        ([rows(DAYS)], {"header": "id;time;value"}, r"than its header; .* by commas, not by ';'"),
        ([["a;1;2"]], {"header": "id;time;value"}, "no column 'id'; separate the columns by comm"),
        ([["a,1,2,3"]], {"header": "id,time,value,value"}, "several columns 'value'; give each"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(tmp_path, series, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        long(tmp_path, *series, **options)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "p.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("days", "frequency"),
    [
        (["2024-02-28", "2024-03-28", "2024-04-28"], "MS"),  # of a leap year, not the last one
        (["2023-01-31", "2023-02-28", "2023-03-31"], "MS"),
        (["2023-03-31", "2023-04-28", "2023-05-31"], "ME"),  # business days
    ],
)
def test_days_of_months_that_are_clear_are_read(days, frequency, tmp_path):
    assert long(tmp_path, rows(days), frequency=frequency).length.tolist() == [3]


def test_a_slower_series_among_empty_cells_is_refused(tmp_path):
    lines = [f"{day},{k},{k if day in FIRSTS else ''}" for k, day in enumerate(EVERY_DAY)]
    with pytest.raises(ValueError, match=MIXED):
        wide(tmp_path, "time,a,b", *lines)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1e39", r"is 1e\+39, larger than float32 holds \(3.4e\+38\)"),
        ("1e400", "is infinite"),
        ("-inf", "is infinite"),
        ('"1,5"', "is '1,5', which is not a number"),
        ("1 000", "is '1 000', which is not a number"),
        ("1_000", "is '1_000', which is not a number"),
        ("12%", "is '12%', which is not a number"),
    ],
)
def test_values_that_are_no_numbers_are_found_by_row(tmp_path, cell, message):
    with pytest.raises(ValueError, match=f"p.csv': column 'value' in row 3 {message}"):
        long(tmp_path, rows(DAYS[:4], [1, 2, cell, 3]))
    with pytest.raises(ValueError, match=f"p.csv': column 'b' in row 2 {message}"):
        wide(tmp_path, "time,a,b", "1,1,2", f"2,1,{cell}")


@pytest.mark.parametrize(
    "names", ["201501,201502,201503", "1990,1991,1992", "2015-01,2015-02,2015-03"]
)
def test_a_transposed_table_is_refused(tmp_path, names):
    with pytest.raises(ValueError, match=r"columns are named by dates .*; transpose it, or name"):
        wide(tmp_path, f"time,{names}", "1,2,3,4", "2,3,4,5")
    chosen = names.split(",")
    panel = wide(tmp_path, f"time,{names}", "1,2,3,4", "2,3,4,5", columns=chosen)
    assert panel.name.tolist() == chosen
