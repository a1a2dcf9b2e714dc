"""Files are found, and read as they were written; errors name the file and the row."""

import gzip

import pytest

from framework.data.files import (
    existing_file,
    matching_files,
)
from framework.data.texts import read_json_lines, read_text


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
