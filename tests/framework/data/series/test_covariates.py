"""Columns beside the values of series: on the grid of the panel, and known when they are."""

import numpy as np
import pandas as pd
import pytest
import torch

from components.data import CovariateBatch, SeriesBatch
from framework.data import LongTable, SeriesData
from framework.data.series.covariates import Column

LENGTHS, AHEAD = (30, 22), 3


def frame():
    """Two daily series with three rows behind the last value; b starts and ends earlier."""
    parts = []
    for k, (name, length) in enumerate(zip("ab", LENGTHS, strict=True)):
        rows = np.arange(length + AHEAD)
        values = np.where(rows < length, 10 * k + rows % 7, np.nan)
        weather = np.where(rows % 5 == 2, np.nan, 100 + rows)
        columns = {"price": 1000 * k + rows, "weather": weather, "size": 7.5 * (k + 1)}
        days = pd.date_range("2026-01-01", periods=len(rows)) + pd.Timedelta(days=2 * k)
        parts.append(pd.DataFrame({"id": name, "time": days, "value": values, **columns}))
    return pd.concat(parts, ignore_index=True)


def table(path, change=lambda rows: rows, **options):
    change(frame()).sample(frac=1, random_state=0).to_csv(path / "t.csv", index=False)
    columns = {"known": ["price"], "past": ["weather"], "static": ["size"]}
    return LongTable(str(path / "t.csv"), **{**columns, **options})


def data(source, **options):
    return SeriesData(source, **{"context": 6, "horizon": 3, "batch_size": 2, **options})


def test_covariates_lie_on_the_grid_of_the_values(tmp_path):
    def earlier(rows):  # rows before the first value are none of the series
        first = rows.groupby("id")["time"].transform("min")
        return rows.assign(value=rows["value"].where(rows["time"] > first + pd.Timedelta(days=1)))

    source = table(tmp_path, earlier)
    found, panel = source.covariates(), source.read()
    assert found.columns == (
        Column("price", "known"),
        Column("weather", "past"),
        Column("size", "static"),
    )
    np.testing.assert_array_equal(panel.length, np.array(LENGTHS) - 2)
    np.testing.assert_array_equal(found.length, panel.length + AHEAD)
    for k, (first, length) in enumerate(zip(found.first, found.length, strict=True)):
        rows = 2 + np.arange(length)
        price, weather, size = found.values[first : first + length].T
        np.testing.assert_array_equal(price, 1000 * k + rows)
        np.testing.assert_array_equal(weather, np.where(rows % 5 == 2, np.nan, 100 + rows))
        np.testing.assert_array_equal(size, 7.5 * (k + 1))


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_windows_know_what_is_known_at_their_cut(tmp_path, split):
    """Against a loop over windows and steps."""
    module = data(table(tmp_path))
    windows = module.dataset(split)
    batch = windows.__getitems__(list(range(len(windows))))
    plain = data(table(tmp_path, known=None, past=None, static=None)).dataset(split)
    for one, other in zip(batch, plain.__getitems__(list(range(len(windows)))), strict=False):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    for number, found in enumerate(batch.covariates.numpy()):
        series, cut = (int(x[0]) for x in windows._locate(np.array([number])))
        for k in range(9):
            step = cut - 6 + k
            there = step >= 0
            price = 1000 * series + step if there else np.nan
            seen = there and k < 6 and step % 5 != 2
            weather = 100 + step if seen else np.nan
            np.testing.assert_array_equal(found[k], [price, weather, 7.5 * (series + 1)])


def test_without_columns_batches_are_what_they_were(tmp_path):
    module = data(table(tmp_path, known=[], past=None, static=None))
    assert module.spec.covariates == ()
    batch = module.dataset("val").__getitems__([0])
    assert type(batch) is SeriesBatch
    assert type(data(table(tmp_path)).dataset("val").__getitems__([0])) is CovariateBatch


def test_the_spec_describes_the_training_part(tmp_path):
    described = data(table(tmp_path)).spec.covariates
    ends = np.array(LENGTHS) - 6  # without the windows that validate and test
    prices = np.concatenate([1000 * k + np.arange(end) for k, end in enumerate(ends)])
    weather = np.concatenate([np.arange(end)[np.arange(end) % 5 != 2] for end in ends]) + 100
    assert [(c.name, c.kind) for c in described] == [
        ("price", "known"),
        ("weather", "past"),
        ("size", "static"),
    ]
    for column, values in zip(described[:2], (prices, weather), strict=True):
        assert (column.mean, column.std) == pytest.approx((values.mean(), values.std()), rel=1e-6)


def test_short_series_are_left_out_with_their_covariates(tmp_path):
    batch = data(table(tmp_path), shortest=25).dataset("test").__getitems__([0])
    assert batch.covariates[0, 0].tolist() == [21, 121, 7.5]


def edit(where, **columns):
    def change(rows):
        rows = rows.astype({name: object for name in columns})
        for name, value in columns.items():
            rows.loc[where(rows), name] = value
        return rows

    return change


WRONG = {
    "missing": ({"known": ["prize"]}, None, r"has no column 'prize'; it has id, time, value"),
    "twice": ({"past": ["price"]}, None, "column 'price' has two uses; name it once"),
    "value": ({"past": ["value"]}, None, "column 'value' has two uses"),
    "empty known": (
        {},
        edit(lambda r: r["time"] == pd.Timestamp("2026-01-09"), price=np.nan),
        r"known column 'price' of series 'a' has no number at 2026-01-09; .* name it as past",
    ),
    "no row": (
        {},
        lambda rows: rows.drop(index=8),
        "known column 'price' of series 'a' has no number at 2026-01-09",
    ),
    "text": (
        {},
        edit(lambda r: r["id"] == "b", size="large"),
        r"'size' in row \d+ is 'large', .* A static column holds numbers: of categories, name a",
    ),
    "changing": (
        {},
        edit(lambda r: r["time"] == pd.Timestamp("2026-01-04"), size=3.0),
        "static column 'size' is empty or changes within series 'a'",
    ),
    "empty static": (
        {},
        edit(lambda r: r["id"] == "b", size=np.nan),
        "static column 'size' is empty or changes within series 'b'",
    ),
    "two rows": (
        {},
        lambda rows: pd.concat([rows, rows.iloc[[32]]]),
        "series 'a' has two rows of one time",
    ),
    "infinite": (
        {},
        edit(lambda r: r["id"] == "b", weather=np.inf),
        r"column 'weather' in row \d+ is infinite",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_get_one_sentence(tmp_path, case):
    options, change, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        table(tmp_path, change or (lambda rows: rows), **options).covariates()
