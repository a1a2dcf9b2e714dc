"""Every corpus serves the documents it was given; unreadable files get one sentence."""

import gzip
import json

import datasets
import pytest

from framework.data.tokens.hub import HubText, SavedText
from framework.data.tokens.module import TokenData
from framework.data.tokens.streaming.source import StreamedText
from framework.data.tokens.text_files import JsonLines, TextFiles
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


@pytest.mark.parametrize("kind", [TextFiles, JsonLines])
def test_files_to_evaluate_on_are_not_trained_on(kind, tmp_path, monkeypatch):
    """A pattern of the training files often matches the others, too."""
    monkeypatch.chdir(tmp_path)
    for name in "abtv":
        (tmp_path / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}\n')

    def names(**options):
        files = kind("*.jsonl", **options).files
        return ["".join(path.stem for path in files[split]) for split in ("train", "val", "test")]

    assert names(val="v.jsonl", test=str(tmp_path / "t.jsonl")) == ["ab", "v", "t"]
    assert names(val="v.jsonl") == ["abt", "v", "v"]
    split = ["abv"] * 2 if kind is TextFiles else ["ab", "v"]  # parts of files, or the last one
    assert names(test="./t.jsonl") == [*split, "t"]
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "v.jsonl")
    assert names(val="v.jsonl") == ["abt", "v", "v"]
    for options in ({"val": "*.jsonl"}, {"test": "*"}, {"val": "[ab]*", "test": "[tvl]*"}):
        with pytest.raises(ValueError, match=r"train='\*.jsonl' leaves no file besides those to"):
            names(**options)


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


@pytest.mark.parametrize("kind", [HubText, StreamedText])
def test_a_file_of_two_splits_is_refused(kind, lines):
    files = {**lines, "train": lines["train"].replace("train.txt", "*.txt")}
    with pytest.raises(
        ValueError, match=r"data_files give '.*validation.txt' to train and to val"
    ):
        list(kind("text", data_files=files).documents("train"))
    same = {"train": lines["train"], "dev": lines["validation"], "test": lines["validation"]}
    corpus = kind("text", data_files=same, val="dev", test="test")
    assert list(corpus.documents("val")) == list(corpus.documents("test"))


def test_a_script_in_place_of_data(tmp_path):
    """Dolma on the hub is one, for example."""
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text("")
    with pytest.raises(ValueError, match=r"cannot be loaded.*scripts are no longer supported"):
        text_of(HubText(str(folder / "scripted.py")), "train")


@pytest.fixture
def shards(tmp_path):
    """Three files as Dolma has them, with a plain one."""
    for name, rows in {"a": ["one", "two"], "b": ["three", None], "c": ["four", "f\nive"]}.items():
        lines = (json.dumps({"id": 1, "text": row, "metadata": {name: [1]}}) for row in rows)
        with gzip.open(tmp_path / f"{name}.json.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    (tmp_path / "plain.jsonl").write_text('{"body": "naïve"}\n{"body": "last"}')
    return tmp_path


def test_a_json_object_is_a_document(shards):
    corpus = JsonLines(str(shards / "*.gz"))
    assert text_of(corpus, "train") == "|one|two|three"
    assert text_of(corpus, "val") == text_of(corpus, "test") == "|four|f\nive"
    corpus = JsonLines(str(shards / "*.gz"), str(shards / "a*"), str(shards / "b*"))
    assert text_of(corpus, "train") == "|four|f\nive"
    assert text_of(corpus, "val") == "|one|two"
    assert text_of(corpus, "test") == "|three"
    plain = JsonLines(str(shards / "plain.jsonl"), str(shards / "a*"), column="body")
    assert list(plain.documents("train")) == ["naïve", "last"]


def test_json_lines_are_read_one_by_one(shards):
    """What comes after the first document need not even be readable."""
    (shards / "c.json.gz").write_bytes((shards / "a.json.gz").read_bytes() + b"not gzip")
    documents = iter(JsonLines(str(shards / "c*"), str(shards / "a*")).documents("train"))
    assert next(documents) == "one"


def test_shards_of_json_are_known_by_their_ends(shards):
    def digest(**options):
        return JsonLines(str(shards / "a*"), str(shards / "b*"), **options).digest("train")

    before = digest()
    assert digest() == before != digest(column="id")
    with gzip.open(shards / "a.json.gz", "wt", encoding="utf-8") as file:
        file.write('{"text": "one"}\n{"text": "2wo"}\n')
    assert digest() != before


def test_json_is_known_by_its_middle_too(tmp_path, cache):
    """Text of the same length, a megabyte behind the beginning."""
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"{number:06d} " + "a" * 1000}) for number in range(2000)]
    path.write_text("\n".join(lines))
    corpus = JsonLines(str(path))
    before = corpus.digest("train")
    assert corpus.digest("train") == before
    lines[1000] = lines[1000].replace("a", "b")
    path.write_text("\n".join(lines))
    assert corpus.digest("train") != before


def test_every_tenth_document_of_a_single_file_is_held_out(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text("".join(f'{{"text": "{number} "}}\n' for number in range(1, 26)))
    corpus = JsonLines(str(path))
    kept = [number for number in range(1, 26) if number % 10]
    assert [int(text) for text in corpus.documents("train")] == kept
    for split in ("val", "test"):
        assert [int(text) for text in corpus.documents(split)] == [10, 20]
    assert corpus.digest("train") != corpus.digest("val")


def test_json_that_cannot_be_used(shards):
    with pytest.raises(ValueError, match=r"JsonLines: val='.*gone' matches no file"):
        JsonLines(str(shards / "*.gz"), str(shards / "gone"))
    with pytest.raises(
        ValueError, match=r"plain.jsonl': line 1 has no 'text', it has 'body'; set column"
    ):
        text_of(JsonLines(str(shards / "plain*"), str(shards / "a*")), "train")
    (shards / "plain.jsonl").write_text('{"text": "good"}\n{"text"')
    with pytest.raises(ValueError, match=r"cannot be read as JSON lines \(line 2"):
        text_of(JsonLines(str(shards / "plain*"), str(shards / "a*")), "train")


def test_what_is_missing_is_named(saved, lines, tmp_path):
    with pytest.raises(ValueError, match=r"TextFiles: train='.*gone\*' matches no file"):
        TextFiles(str(tmp_path / "gone*"))
    with pytest.raises(
        ValueError, match=r"train='.*' is a folder; name its files, such as '.*/\*"
    ):
        TextFiles(str(tmp_path))
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
    with pytest.raises(
        ValueError, match=r"TextFiles: the train split, '.*empty.txt', holds no text; check what"
    ):
        text_of(TextFiles(str(tmp_path / "empty.txt")), "train")
    with pytest.raises(ValueError, match=r"latin.txt' is not UTF-8 text \(line 1, byte 2\)"):
        text_of(TextFiles(str(tmp_path / "latin.txt")), "train")


def test_rows_of_other_libraries_that_are_no_text(tmp_path):
    datasets.disable_progress_bars()
    numbers = datasets.Dataset.from_dict(
        {"text": [1, 2], "chat": [[{"role": "u", "content": "a"}]] * 2}
    )
    datasets.DatasetDict({"train": numbers, "validation": numbers}).save_to_disk(tmp_path / "d")
    with pytest.raises(ValueError, match=r"data set '.*d': row 1: 'text' is a number, not a text"):
        text_of(SavedText(str(tmp_path / "d")), "train")
    with pytest.raises(ValueError, match=r"row 1: 'chat' is a list of messages"):
        text_of(SavedText(str(tmp_path / "d"), column="chat"), "train")


def test_local_files_of_the_hub_are_named(lines, tmp_path):
    (tmp_path / "run[1]").mkdir()
    odd = tmp_path / "run[1]" / "a.txt"
    odd.write_text("odd", encoding="utf-8")
    corpus = HubText("text", data_files={**lines, "train": str(odd)})
    assert text_of(corpus, "train") == "|odd"
    odd.write_bytes(b'{"text": "good"}\n{"text": "na\xefve"}\n')
    corpus = HubText("json", data_files={"train": str(odd)}, val="train")
    with pytest.raises(ValueError, match=r"data set 'json': row 2: 'text' is not UTF-8 text"):
        text_of(corpus, "train")
    odd.write_text('{"text": "x \\ud83d y"}\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"cannot be loaded; check the names \(.*surrogate"):
        text_of(HubText("json", data_files={"train": str(odd)}, val="train"), "train")
