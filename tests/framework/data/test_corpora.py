"""Every corpus serves the documents it was given; what cannot be read is told in a sentence."""

import datasets
import pytest

from framework.data.tokens.corpora import TextFiles
from framework.data.tokens.hub import HubText, SavedText
from framework.data.tokens.module import TokenData
from framework.data.tokens.tokenizer import ByteTokenizer

ROWS = {"train": ["one", "two", "three"], "validation": ["four", "", "five"]}


@pytest.fixture
def saved(tmp_path):
    datasets.disable_progress_bars()
    splits = {name: datasets.Dataset.from_dict({"text": rows}) for name, rows in ROWS.items()}
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    return str(tmp_path / "saved")


@pytest.fixture
def lines(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    for name, rows in ROWS.items():
        (tmp_path / f"{name}.txt").write_text("\n".join(rows))
    return {name: str(tmp_path / f"{name}.txt") for name in ROWS}


def text_of(corpus, split):
    """Reads a split as the model sees it; `|` stands between documents."""
    data = TokenData(corpus, ByteTokenizer(), 1)
    ids = data._streams.streams[split].ids.tolist()
    return bytes(ord("|") if i == 256 else i for i in ids).decode()


def test_held_out_text_is_the_end_of_each_file(tmp_path):
    (tmp_path / "a.txt").write_text("aaaaaaaaAA")
    (tmp_path / "b.txt").write_text("bbbbBBBBB")
    corpus = TextFiles(str(tmp_path / "*.txt"), holdout=0.2)
    assert text_of(corpus, "train") == "|aaaaaaaa|bbbbBBB"
    assert text_of(corpus, "val") == text_of(corpus, "test") == "|AA|BB"
    corpus = TextFiles(str(tmp_path / "a.txt"), test=str(tmp_path / "b.txt"), holdout=0.2)
    assert text_of(corpus, "train") == "|aaaaaaaa"
    assert text_of(corpus, "val") == "|AA"
    assert text_of(corpus, "test") == "|bbbbBBBBB"
    corpus = TextFiles(str(tmp_path / "a.txt"), str(tmp_path / "b.txt"))
    assert text_of(corpus, "train") == "|aaaaaaaaAA"
    assert text_of(corpus, "val") == text_of(corpus, "test") == "|bbbbBBBBB"


def test_changed_files_are_read_again(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("first text")
    assert text_of(TextFiles(str(path)), "train") == "|first tex"
    path.write_text("other text")
    assert text_of(TextFiles(str(path)), "train") == "|other tex"


def test_saved_rows_are_documents(saved):
    assert text_of(SavedText(saved), "train") == "|one|two|three"
    assert text_of(SavedText(saved), "val") == text_of(SavedText(saved), "test") == "|four|five"
    assert text_of(SavedText(saved, val="train"), "val") == "|one|two|three"


def test_local_files_load_like_the_hub(lines):
    corpus = HubText("text", data_files=lines)
    assert text_of(corpus, "train") == "|one|two|three"
    assert text_of(corpus, "val") == "|four|five"
    assert text_of(HubText("text", data_files=lines, train="train[:2]"), "train") == "|one|two"


def test_what_is_missing_is_named(saved, lines, tmp_path):
    with pytest.raises(ValueError, match=r"no file matches train='.*gone\*'"):
        TextFiles(str(tmp_path / "gone*"))
    with pytest.raises(ValueError, match="holdout=1"):
        TextFiles(saved + "/dataset_dict.json", holdout=1)
    with pytest.raises(ValueError, match="was not written by save_to_disk"):
        SavedText(str(tmp_path / "nowhere"))
    with pytest.raises(
        ValueError, match=r"has the splits \['train', 'validation'\], not \['dev'\]"
    ):
        SavedText(saved, val="dev")
    with pytest.raises(ValueError, match=r"has the columns \['text'\], not 'body'"):
        text_of(SavedText(saved, column="body"), "train")
    with pytest.raises(
        ValueError, match=r"HubText: the split 'dev' of path='text' cannot be loaded"
    ):
        text_of(HubText("text", data_files=lines, val="dev"), "val")


def test_text_that_is_empty_or_no_text(tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "latin.txt").write_bytes("naïve".encode("latin-1"))
    with pytest.raises(ValueError, match="TextFiles: the train split holds no text"):
        text_of(TextFiles(str(tmp_path / "empty.txt")), "train")
    with pytest.raises(ValueError, match=r"latin.txt' is not UTF-8 text \(byte 2\)"):
        text_of(TextFiles(str(tmp_path / "latin.txt")), "train")
