"""Tables are read as they were written; errors name the file, the column and the row."""

import numpy as np
import pandas as pd
import pytest

from framework.data.series.tables import LongTable
from framework.data.table_file import TableFile


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


def test_lists_are_not_numbers_and_csv_holds_none(tmp_path):
    (tmp_path / "t.csv").write_text('seen\n"[1.5, 2]"\n')
    with pytest.raises(ValueError, match=r"is '\[1\.5, 2\]', .* of CSV holds one number, write"):
        TableFile(tmp_path / "t.csv").numbers("seen")


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


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path):
    (tmp_path / "marked.csv").write_bytes("\ufeffa,b\n1,2\n".encode())
    assert TableFile(tmp_path / "marked.csv").columns == ["a", "b"]


def test_other_columns_have_names_of_their_own(tmp_path):
    frame = pd.DataFrame({"y": [1, 2, 3], "a": [3, 4, 5]})
    frame.to_csv(tmp_path / "t.csv")
    with pytest.warns(UserWarning, match=r"t.csv': column 'Unnamed: 0' has no name"):
        assert TableFile(tmp_path / "t.csv").others("y") == ["a"]
    assert TableFile(tmp_path / "t.csv").others("y", "Unnamed: 0") == ["a"]
    frame.set_index(pd.Index([5, 7, 8], name="row")).to_parquet(tmp_path / "t.parquet")
    assert TableFile(tmp_path / "t.parquet").others("y") == ["a"]
    assert TableFile(tmp_path / "t.parquet").numbers("row").tolist() == [5, 7, 8]
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n")
    with pytest.raises(ValueError, match=r"t.csv' has several columns 'a'; give each a name"):
        TableFile(tmp_path / "t.csv")


def test_numbers_beyond_64_bits_are_text_among_arrays(tmp_path):
    (tmp_path / "t.csv").write_text("a\n" + "9" * 30 + "\n1\n")
    assert TableFile(tmp_path / "t.csv").arrays("a").tolist() == ["9" * 30, "1"]
    assert TableFile(tmp_path / "t.csv").numbers("a").tolist() == [1e30, 1.0]
