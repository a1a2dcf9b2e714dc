"""Texts are read as they were written; errors name the file, the line and what is there."""

import gzip
import json

import pytest

from framework.data import TextFiles
from framework.data.texts import json_texts, read_json_lines, read_text, text_of
from framework.preparation.inputs import TextPart


def rows(tmp_path, content, name="x.jsonl"):
    (tmp_path / name).write_bytes(content)
    return list(json_texts(tmp_path / name, "text"))


def test_blank_lines_are_skipped(tmp_path):
    content = b'{"text": "a"}\n\n  \r\n{"text": null}\r\n{"text": "b\\nc"}\n\n'
    assert rows(tmp_path, content) == ["a", "", "b\nc"]
    assert rows(tmp_path, gzip.compress(content), "x.json.gz") == ["a", "", "b\nc"]
    path = tmp_path / "x.jsonl"
    assert [number for number, _ in read_json_lines(path)] == [1, 4, 5]


def test_lines_end_as_in_the_file(tmp_path):
    """Here, where a language model reads them, and where they are prepared for one."""
    content = "é\r\nb\rc\n\r\n"
    path = tmp_path / "dos.txt"
    path.write_bytes(content.encode())
    assert read_text(path) == content
    (tmp_path / "train.txt").touch()
    source = TextFiles(str(tmp_path / "train.txt"), str(path))
    assert [*source.documents("test")] == [content]
    assert [*TextPart(path, len(content)).documents()] == [content]


WRONG = {
    "a number": ({"text": 5}, r"line 2: 'text' is a number, not a text; name the column"),
    "false": ({"text": False}, r"line 2: 'text' is true or false, not a text"),
    "a list": ({"text": ["a"]}, r"line 2: 'text' is a list, not a text"),
    "an object": ({"text": {"a": 1}}, r"line 2: 'text' is an object, not a text"),
    "a chat": (
        {"text": [{"role": "user", "content": "a"}]},
        r"line 2: 'text' is a list of messages \(a chat\), not a text; write each chat",
    ),
    "another name": ({"messages": []}, r"line 2 has no 'text', it has 'messages'; set column"),
    "half a pair": (
        {"text": "x \ud83d y"},
        r"line 2: 'text' holds '\\ud83d', half of a surrogate pair, at character 3",
    ),
}


@pytest.mark.parametrize(("row", "message"), WRONG.values(), ids=WRONG)
def test_rows_that_are_no_text_are_named(tmp_path, row, message):
    content = f'{{"text": "good 😀"}}\n{json.dumps(row)}\n'.encode()
    with pytest.raises(ValueError, match=rf"x.jsonl'.*{message}") as caught:
        rows(tmp_path, content)
    assert "\n" not in str(caught.value)


def test_whole_pairs_are_characters(tmp_path):
    assert rows(tmp_path, b'{"text": "\\ud83d\\ude00"}') == ["\N{GRINNING FACE}"]


def test_lines_in_another_encoding_are_named(tmp_path):
    content = b'{"text": "a"}\n' * 999 + '{"text": "naïve"}\n'.encode("latin-1")
    with pytest.raises(ValueError, match=r"\(line 1000: byte 12 of the line is not UTF-8\); .*in"):
        rows(tmp_path, content)
    with pytest.raises(ValueError, match=r"\(line 1: it is nested too deeply\)"):
        rows(tmp_path, b"[" * 100_000)
    (tmp_path / "latin.txt").write_bytes("plain\nnaïve".encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin.txt' is not UTF-8 text \(line 2, byte 8\)"):
        read_text(tmp_path / "latin.txt")


def test_other_kinds_are_named_by_their_type():
    with pytest.raises(ValueError, match="row 7: 'text' is bytes, not a text"):
        text_of(b"a", "text", "row 7")
