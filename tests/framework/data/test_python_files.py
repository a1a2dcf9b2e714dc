"""All sources of the standard library, each in the split that a hash of its path says."""

import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from framework.data.tokens.bundled import PythonFiles
from framework.data.tokens.tokenizer import ByteTokenizer

SPLITS = ("train", "val", "test")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Makes a library of 200 files in packages, with others installed beside."""
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / "lib"))
    for k in range(200):
        path = tmp_path / "lib" / f"package{k % 7}" / "deep" / f"file{k}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"value = {k}\n")
    for folder in ("site-packages", "dist-packages"):
        (tmp_path / "lib" / folder).mkdir()
        (tmp_path / "lib" / folder / "installed.py").write_text("value = 'installed'\n")
    (tmp_path / "lib" / "notes.txt").write_text("no source")
    return tmp_path / "lib"


def test_every_file_is_in_one_split(library):
    texts = [text for split in SPLITS for text in PythonFiles().documents(split)]
    assert Counter(texts) == Counter(f"value = {k}\n" for k in range(200))
    sizes = {split: len([*PythonFiles().documents(split)]) for split in SPLITS}
    assert min(sizes.values()) >= 1
    assert sizes["train"] > 160


def test_a_file_stays_in_its_split_whatever_is_beside_it(library):
    before = {split: [*PythonFiles().documents(split)] for split in SPLITS}
    digests = {split: PythonFiles().digest(split) for split in SPLITS}
    (library / "package0" / "deep" / "file0.py").unlink()
    after = {split: [*PythonFiles().documents(split)] for split in SPLITS}
    for split in SPLITS:
        assert after[split] == [text for text in before[split] if text != "value = 0\n"]
    changed = [split for split in SPLITS if PythonFiles().digest(split) != digests[split]]
    assert changed == [split for split in SPLITS if before[split] != after[split]]
    assert len(changed) == 1


def test_the_content_is_part_of_the_digest(library):
    before = PythonFiles().digest("train")
    assert PythonFiles().digest("train") == before
    for path in library.rglob("file*.py"):
        path.write_text(path.read_text().upper())
    assert PythonFiles().digest("train") != before


def test_bytes_that_are_no_text_are_replaced(library):
    for path in library.rglob("file*.py"):
        path.write_bytes(b"na\xefve\n")
    assert set(PythonFiles().documents("train")) == {"na\N{REPLACEMENT CHARACTER}ve\n"}
    streams = PythonFiles().streams(ByteTokenizer())
    assert set(streams.streams) == set(SPLITS)


def test_a_library_without_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(ValueError, match=r"PythonFiles: .* holds no sources; use TextFiles with"):
        [*PythonFiles().documents("train")]


def test_this_python_has_packages_in_it():
    folder = Path(sysconfig.get_path("stdlib"))
    source = (folder / "json" / "decoder.py").read_text(encoding="utf-8")
    places = [split for split in SPLITS if source in set(PythonFiles().documents(split))]
    assert len(places) == 1
