"""Panels on disk: what is written is what is read, in place, by any Arrow tool."""

import numpy as np
import pyarrow as pa

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
