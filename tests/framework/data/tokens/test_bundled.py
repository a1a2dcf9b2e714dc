"""All sources of the standard library, each in the split that a hash of its path says."""

import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from framework.data.tokens.bundled import PythonFiles, PythonLibrary, StateOfTheUnion
from framework.data.tokens.tokenizer import ByteTokenizer
from tests.framework.data.tokens.test_corpora import text_of

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
    files = PythonFiles()._files
    assert [folder / "json" / "decoder.py" in files[split] for split in SPLITS].count(True) == 1


def test_sources_of_the_standard_library():
    names = [name for name in sys.stdlib_module_names if name.isidentifier()]
    folder = Path(sysconfig.get_path("stdlib"))
    paths = sorted(path for name in names if (path := folder / f"{name}.py").is_file())
    text = PythonLibrary(limit=None)
    train, val = (text.documents(split)[0] for split in ("train", "val"))
    whole = train + val
    assert whole.isascii()
    for path in paths:
        source = path.read_bytes()
        assert not source.isascii() or source.decode() in whole, path
    assert len(val) == round(0.05 * len(whole))
    assert text.documents("val") == text.documents("test")
    limited = PythonLibrary(1000, 0.2)
    assert text_of(limited, "train") == f"|{whole[:800]}"
    assert text_of(limited, "val") == f"|{whole[800:1000]}"


def test_bytes_beyond_ascii_are_question_marks(tmp_path, monkeypatch):
    (tmp_path / "b.py").write_bytes("é = 1\n".encode())
    (tmp_path / "a.py").write_bytes(b"first\n")
    (tmp_path / "c.txt").write_bytes(b"no source")
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    corpus = PythonLibrary(holdout=0.5)
    assert "".join(corpus.documents("train") + corpus.documents("val")) == "first\n?? = 1\n"
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path / "none"))
    with pytest.raises(ValueError, match="holds no sources; use TextFiles"):
        text_of(PythonLibrary(), "train")


def test_parts_of_the_library_that_there_are_not():
    with pytest.raises(ValueError, match="limit=0 leaves no text"):
        PythonLibrary(limit=0)
    with pytest.raises(ValueError, match="holdout=1 is a fraction"):
        PythonLibrary(holdout=1)


def test_embedded_speeches_are_split_as_documented():
    """The size of the validation text was counted apart, on the files of the package."""
    corpus = StateOfTheUnion()
    train, val = corpus.documents("train"), corpus.documents("val")
    assert (len(train), len(val)) == (224, 25)
    assert sum(len(text.encode()) for text in val) == 1_129_563
    assert not set(train) & set(val)
    assert corpus.digest("val") == corpus.digest("test") != corpus.digest("train")
