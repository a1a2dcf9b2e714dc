"""Files are found, and read as they were written; errors name the file, the column and the row."""

import gzip

import numpy as np
import pandas as pd
import pytest

from framework.data.files import (
    TableFile,
    existing_file,
    matching_files,
    read_json_lines,
    read_text,
)
from framework.data.series.tables import LongTable


def test_a_path_that_exists_is_not_a_pattern(tmp_path):
    for folder in ("run[1]", "run1", "run2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    odd = str(tmp_path / "run[1]" / "a.txt")
    assert [read_text(path) for path in matching_files(odd, "x")] == ["run[1]"]
    found = matching_files(str(tmp_path / "run[12]" / "*"), "x")
    assert [read_text(path) for path in found] == ["run1", "run2"]
    deep = matching_files(str(tmp_path / "**" / "a.txt"), "x")
    assert [path.parent.name for path in deep] == ["run1", "run2", "run[1]"]
    with pytest.raises(ValueError, match=r"Any: train='.*run\[3\]' matches no file; check the"):
        matching_files(str(tmp_path / "run[3]"), "Any: train")
    with pytest.raises(ValueError, match=r"Any: path='.*run1' is not a file"):
        existing_file(tmp_path / "run1", "Any: path")


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path):
    path = tmp_path / "marked"
    path.write_bytes("\ufeffnaïve\n".encode())
    assert read_text(path) == "naïve\n"
    path.write_bytes('\ufeff{"a": 1}\n{"a": 2}'.encode())
    assert list(read_json_lines(path)) == [(1, {"a": 1}), (2, {"a": 2})]
    (tmp_path / "marked.csv").write_bytes("\ufeffa,b\n1,2\n".encode())
    assert TableFile(tmp_path / "marked.csv").columns == ["a", "b"]


@pytest.mark.parametrize("name", ["NA", "None", "null", "007", "1.50", "nan"])
def test_names_are_read_as_they_are_written(tmp_path, name):
    rows = [f"{name},{year},{year}.5" for year in range(2000, 2004)]
    (tmp_path / "p.csv").write_text("\n".join(["id,time,value", *rows]))
    panel = LongTable(str(tmp_path / "p.csv")).read()
    assert panel.name.tolist() == [name]
    np.testing.assert_array_equal(panel.values, np.arange(2000, 2004) + 0.5)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".arrow"])
def test_a_table_is_the_same_in_every_format(tmp_path, suffix):
    frame = pd.DataFrame({"name": ["b", "a", "c"], "number": [1.5, np.nan, 3], "whole": [3, 1, 2]})
    path = tmp_path / f"t{suffix}"
    write = {".parquet": frame.to_parquet, ".arrow": frame.to_feather}
    write.get(suffix, lambda path: frame.to_csv(path, index=False))(path)
    table = TableFile(path, texts=["name"])
    assert table.columns == ["name", "number", "whole"]
    assert table.names("name").tolist() == ["b", "a", "c"]
    np.testing.assert_array_equal(table.numbers("number"), frame.number)
    assert table.arrays("whole").tolist() == [3, 1, 2]
    with pytest.raises(ValueError, match=r"t.* has no column 'x'; it has name, number, whole"):
        table.numbers("x")
    with pytest.raises(ValueError, match=r"column 'name' in row 1 is 'b', which is not a number"):
        table.numbers("name")


def test_times_are_not_numbers(tmp_path):
    frame = pd.DataFrame({"t": pd.date_range("2020-01-01", periods=3)})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ValueError, match=r"column 't' in row 1 is Timestamp.*not a number"):
        TableFile(tmp_path / "t.parquet").numbers("t")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"a,b\n1,2\n1,2,3\n", "a.csv' cannot be read as a table .*line 3"),
        ("a.csv", b"", "cannot be read as a table .*No columns"),
        ("a.csv", "é,b\n".encode("latin-1"), "cannot be read as a table .*utf-8"),
        ("a.csv.gz", b"a,b\n1,2\n", "cannot be read as a table .*gzip"),
        ("a.parquet", b"a,b\n1,2\n", "a.parquet' cannot be read as a table"),
        ("a.txt", b"a,b\n1,2\n", "a.txt' is none of .csv, .parquet, .pq, .arrow, .feather; conv"),
    ],
)
def test_tables_that_cannot_be_read_get_one_sentence(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        TableFile(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(b'{"a": 1}\n[1]\n', mtime=0),
            r"line 2: found list\); write one object a line",
        ),
        (gzip.compress(b'{"a": 1}\n{"a"\n', mtime=0), r"line 2: Expecting"),
        (gzip.compress(b'{"a": 1}\n' * 9, mtime=0)[:-9], r"x.gz' cannot be read as JSON lines"),
        (b"text", r"line 1: Not a gzipped file"),
    ],
)
def test_json_lines_that_cannot_be_read_get_one_sentence(tmp_path, content, message):
    (tmp_path / "x.gz").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        list(read_json_lines(tmp_path / "x.gz"))
    assert "\n" not in str(caught.value)
