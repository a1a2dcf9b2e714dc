"""Panels on disk: what is written is what is read, in place, by any Arrow tool."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from framework.data.mapped import MappedArray
from framework.data.series.module import SeriesData
from framework.data.series.panels import (
    Arrays,
    Panel,
    load_panel,
    map_values,
    read_spans,
    save_panel,
    store_panel,
)


def panels(count=3):
    rng = np.random.default_rng(0)
    for k in range(count):
        series = {f"s{k}{n}": rng.normal(size=rng.integers(1, 9)) for n in range(k + 1)}
        series[f"s{k}0"] = np.array([1.0, np.nan, k])
        yield Panel.of(series, season=7, horizon=2)


@pytest.mark.parametrize(
    "series",
    [
        [[1, None, 3]],
        np.array([[1, np.nan, 3]], dtype=np.float16),
        np.ma.masked_array([[1.0, 2.0, 3.0]], mask=[[False, True, False]]),
        torch.tensor([[1.0, torch.nan, 3.0]], dtype=torch.bfloat16, requires_grad=True),
        [pd.Series([1, pd.NA, 3], dtype="Float64").astype(float)],
    ],
    ids=["list", "half", "masked", "tensor", "pandas"],
)
def test_numbers_of_any_kind_are_series(series):
    (values,) = Arrays(series).read().series()
    np.testing.assert_array_equal(values, [1, np.nan, 3])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1.0, 2.0], "series 0 is a number; give a list of series"),
        ([[[1.0]]], "series 0 is a list of lists"),
        ([[1.0], ["a"]], r"series 1 is no list of numbers \(could not convert"),
        ([np.array(["2020-01-01"], dtype="M8[D]")], "series 0 is no list of numbers"),
        ({"a": [1.0]}, "values is a dict; give a list"),
        (pd.DataFrame({"a": [1.0]}), "values is a DataFrame; give a list"),
        (3.0, "values is a float; give a list"),
    ],
)
def test_what_are_no_series_is_refused(values, said):
    with pytest.raises(ValueError, match=rf"^Arrays: {said}[^\n]*\.$"):
        Arrays(values)


def test_seasons_that_are_none_are_refused():
    for season in (0, 1.5, None):
        with pytest.raises(ValueError, match=rf"^Arrays: season={season} is no"):
            Arrays([[1.0]], season=season)


def test_pieces_make_one_panel(tmp_path):
    save_panel(panels(), tmp_path / "p.arrow")
    panel = load_panel(tmp_path / "p.arrow")
    expected = [(n, x) for piece in panels() for n, x in zip(piece.name, piece.series())]  # noqa: B905
    assert (panel.season, panel.horizon, len(panel.length)) == (7, 2, 6)
    for name, values, (wanted, truth) in zip(panel.name, panel.series(), expected, strict=True):
        assert name == wanted
        np.testing.assert_array_equal(values, truth)
    np.testing.assert_array_equal(
        panel.compact().values, np.concatenate([truth for _, truth in expected])
    )


def test_any_arrow_tool_reads_it(tmp_path):
    save_panel(panels(), tmp_path / "p.arrow")
    table = pa.ipc.open_file(str(tmp_path / "p.arrow")).read_all()
    assert table.schema.field("target").type == pa.list_(pa.float32())
    series = [x for piece in panels() for x in piece.series()]
    assert table["name"].to_pylist() == [str(n) for piece in panels() for n in piece.name]
    for row, truth in zip(table["target"], series, strict=True):
        np.testing.assert_array_equal(row.values.to_numpy(zero_copy_only=False), truth)


def test_values_are_not_copied(tmp_path):
    save_panel([Panel.of({"a": np.arange(1e6)})], tmp_path / "p.arrow")
    before = pa.total_allocated_bytes()
    first, length = read_spans(tmp_path / "p.arrow")
    values = MappedArray(tmp_path / "p.arrow", map_values)
    assert pa.total_allocated_bytes() - before < 100_000
    assert not values.array.flags.owndata
    assert values[first[0] + 77 : first[0] + 79].tolist() == [77, 78]
    assert length.tolist() == [1_000_000]


def test_a_panel_is_written_once_for_all_who_read_it():
    source = Arrays([range(1, 30)], season=3)
    path = store_panel(source)
    written = path.stat().st_mtime_ns
    assert SeriesData(source, horizon=3).panel.season == 3
    assert store_panel(Arrays([range(1, 30)], season=3)) == path
    assert path.stat().st_mtime_ns == written
    assert store_panel(Arrays([range(1, 30)], season=4)) != path


LEVEL = 2e9
"""A level at which float32 is coarser than the steps of the series below."""


@pytest.mark.parametrize(
    ("series", "dtype"),
    [
        (LEVEL + np.arange(7.0), np.float64),
        (np.append(LEVEL + np.arange(7.0), 1.0), np.float64),  # a counter that was reset
        (1e-50 * np.arange(7.0), np.float64),
        (LEVEL * np.arange(7.0), np.float32),
        (np.full(7, LEVEL + 1), np.float32),
        (np.cumsum(np.full(7, 0.1)) - 0.1 * np.arange(7), np.float32),  # rounding of a constant
        (np.array([LEVEL + 1]), np.float32),
    ],
)
def test_values_are_stored_as_exactly_as_their_steps_demand(series, dtype, tmp_path):
    panel = Panel.of({"a": np.array([1.0, np.nan, 2.0]), "b": series})
    assert panel.values.dtype == dtype
    save_panel([panel], tmp_path / "p.arrow")
    again = load_panel(tmp_path / "p.arrow")
    for wanted, got in zip(panel.series(), again.series(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    if dtype is np.float64:
        np.testing.assert_array_equal(list(again.series())[1], series)


def test_what_float32_cannot_hold_is_refused():
    with pytest.raises(ValueError, match=r"'a' has the value 1e\+39 at position 1, more than"):
        Panel.of({"a": np.array([0, 1e39])})
