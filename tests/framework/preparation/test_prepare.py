"""Shards hold what one file would, whoever writes them and whenever they are interrupted."""

import json
import os
import pickle
import signal

import datasets
import numpy as np
import pandas as pd
import pytest
import torch

import cli
from framework.console.errors import UserError
from framework.data.tokens.module import TokenData
from framework.data.tokens.shards.index import INDEX, read_index
from framework.data.tokens.shards.source import TokenShards
from framework.data.tokens.text_files import JsonLines
from framework.data.tokens.token_files import TokenFiles
from framework.data.tokens.tokenizer import BytePairTokenizer, ByteTokenizer, FileTokenizer
from framework.preparation import preparing
from framework.preparation.inputs import parts_of, units_of
from framework.preparation.verbs.prepare import run
from tests.processes import killed_everywhere

pytestmark = pytest.mark.usefixtures("unsaved_pictures")

TEXTS = [f"Document {n} says: " + "é€ word " * (n % 7) for n in range(60)] + ["", "last"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OVERTONE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def lines(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return path


def prepared(path, folder, tokenizer=None, size=400, processes=1):
    return preparing.prepare(
        parts_of([str(path)], "text", size),
        tokenizer or ByteTokenizer(),
        folder,
        size,
        processes,
        lambda *_: None,
    )


def row(texts=TEXTS):
    """All tokens, one document behind the other."""
    return [i for text in texts if text for i in (256, *text.encode())]


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shards_are_read_as_one_file(lines, tmp_path):
    index = prepared(lines, tmp_path / "shards")
    assert len(index.shards) > 5
    assert (index.documents, index.tokens) == (61, len(row()))
    assert index.bytes == sum(len(text.encode()) for text in TEXTS)
    np.array(row(), np.uint16).tofile(tmp_path / "whole.bin")
    path, folder = str(tmp_path / "whole.bin"), str(tmp_path / "shards")
    whole = TokenData(TokenFiles(path, path, 257), ByteTokenizer(), 16)
    data = TokenData(TokenShards(folder, folder), length=16)
    assert data.spec == whole.spec
    assert torch.equal(data.counts(), whole.counts())
    for split in ("train", "val", "test"):
        windows, expected = data.dataset(split), whole.dataset(split)
        assert len(windows) == len(expected)
        numbers = torch.randperm(len(windows), generator=torch.Generator().manual_seed(0))
        copy = pickle.loads(pickle.dumps(windows))
        assert same(copy.__getitems__(numbers.tolist()), expected.__getitems__(numbers.tolist()))


def test_shards_equal_the_text_that_they_are_made_from(lines, tmp_path):
    """Also with a tokenizer that is trained on the text, and held out by the shard."""
    prepared(lines, tmp_path / "shards", BytePairTokenizer(300))
    data = TokenData(TokenShards(str(tmp_path / "shards")))
    (tmp_path / "val.jsonl").write_text('{"text": "a"}\n')
    corpus = JsonLines(str(lines), str(tmp_path / "val.jsonl"))
    text = TokenData(corpus, BytePairTokenizer(300))
    assert json.loads(data.vocabulary.describe()["json"]) == json.loads(
        text.vocabulary.describe()["json"]
    )
    streams = data._streams.streams
    found = streams["train"].ids.tolist() + streams["val"].ids.tolist()
    assert found == text._streams.streams["train"].ids.tolist()
    assert len(streams["val"].shards) == 1
    tokenizer = FileTokenizer(str(tmp_path / "shards" / "tokenizer.json"))
    assert tokenizer.digest() == data.vocabulary.digest()


def test_any_number_of_processes_writes_the_same(lines, tmp_path):
    prepared(lines, tmp_path / "one")
    prepared(lines, tmp_path / "two", processes=2)
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_nothing_is_read_at_the_start(lines, tmp_path, monkeypatch):
    """Bytes of the shards that are resident, by the size of what was mapped: none is."""
    prepared(lines, tmp_path / "shards")
    monkeypatch.setattr(torch, "from_file", lambda *_, **__: pytest.fail("read"))
    data = TokenData(TokenShards(str(tmp_path / "shards")), length=16)
    assert data.spec.support.size == 257
    assert len(data.dataset("train")) > 10
    with pytest.raises(pytest.fail.Exception):
        data.dataset("train").__getitems__([0])


def test_more_shards_than_files_may_be_open(lines, tmp_path):
    import resource

    index = prepared(lines, tmp_path / "shards", size=60)
    data = TokenData(TokenShards(str(tmp_path / "shards")), length=16)
    opened = len(os.listdir("/proc/self/fd"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 4, hard))
    try:
        assert len(index.shards) > 30
        streams = data._streams.streams
        assert streams["train"].ids.tolist() + streams["val"].ids.tolist() == row()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_inputs_of_all_kinds_are_the_same_documents(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    datasets.disable_progress_bars()
    frame = pd.DataFrame({"text": TEXTS})
    frame.to_parquet(tmp_path / "texts.parquet", row_group_size=9)
    datasets.Dataset.from_pandas(frame).save_to_disk(tmp_path / "saved")
    frame.to_json(tmp_path / "texts.json.gz", orient="records", lines=True)
    (tmp_path / "files").mkdir()
    for number, text in enumerate(TEXTS):
        (tmp_path / "files" / f"{number:03d}.txt").write_text(text, encoding="utf-8")
    for name in ("texts.jsonl", "texts.parquet", "saved", "texts.json.gz", "files/*.txt"):
        for size in (30, 400, 10**6):
            units = units_of(parts_of([str(tmp_path / name)], "text", size), size)
            assert (len(units) > 3) == (size < 10**6 and "gz" not in name), (name, size)
            found = [text for unit in units for part in unit for text in part.documents()]
            assert found == TEXTS, (name, size)


@pytest.mark.slow
def test_a_killed_command_is_given_again(lines, tmp_path):
    """It dies at each of its changes of the folder; none leaves half a shard under its name."""
    expected, folder = tmp_path / "expected", tmp_path / "killed"
    whole = prepared(lines, expected, size=1500)
    for _ in killed_everywhere(lambda: prepared(lines, folder, size=1500), folder, 2):
        for shard in whole.shards:
            path = folder / shard.name
            assert not path.exists() or path.read_bytes() == (expected / path.name).read_bytes()
        if (folder / INDEX).exists():
            assert read_index(folder, "").shards == whole.shards
    assert content(folder) == content(expected)


def test_what_is_written_is_kept(lines, tmp_path):
    folder = tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt):
        preparing.prepare(
            parts_of([str(lines)], "text", 400), ByteTokenizer(), folder, 400, 1, interrupt
        )
    first = (folder / "000000.bin").stat().st_ino
    with pytest.raises(ValueError, match=r"is no folder with an index.json.* again goes on"):
        TokenShards(str(folder))
    prepared(lines, folder)
    assert (folder / "000000.bin").stat().st_ino == first
    assert prepared(lines, folder).tokens == len(row())


def interrupt(*_):
    raise KeyboardInterrupt


def test_the_command(lines, tmp_path, capsys):
    folder = tmp_path / "shards"
    words = ["--output", str(folder), "--tokenizer", "ByteTokenizer", "--processes", "1"]
    run([str(lines), *words], "overtone")
    assert f"{len(row()):,} tokens" in capsys.readouterr().out
    run(["--output", str(folder), "--check", "true"], "overtone")
    assert "as they were written" in capsys.readouterr().out
    data = bytearray((folder / "000000.bin").read_bytes())
    data[100] ^= 1
    (folder / "000000.bin").write_bytes(data)
    with pytest.raises(UserError, match=r"1 damaged shards \(000000.bin\); remove"):
        run(["--output", str(folder), "--check", "true"], "overtone")
    with pytest.raises(UserError, match="prepare needs inputs"):
        run(words, "overtone")
    with pytest.raises(UserError, match="--processes 0 is not positive"):
        run([str(lines), *words[:-1], "0"], "overtone")


def test_mistakes_end_in_one_sentence(lines, tmp_path):
    folder = tmp_path / "shards"
    prepared(lines, folder, size=10**6)
    with pytest.raises(ValueError, match=r"has one shard, so that none can be held out; give"):
        TokenShards(str(folder))
    with pytest.raises(ValueError, match=r"holds the shards of another text, tokenizer or"):
        prepared(lines, folder, BytePairTokenizer(300))
    prepared(lines, tmp_path / "pairs", BytePairTokenizer(300))
    with pytest.raises(ValueError, match=r"val=.*pairs' was made with another tokenizer than"):
        TokenShards(str(folder), str(tmp_path / "pairs")).streams(None)
    source = TokenShards(str(folder), str(folder))
    with pytest.raises(ValueError, match=r"made with another tokenizer, of 257 tokens; drop"):
        source.streams(BytePairTokenizer(300))
    for name, message in {"gone": "matches no file", "": "not written by save_to_disk"}.items():
        with pytest.raises(ValueError, match=message):
            parts_of([str(tmp_path / name)], "text", 1)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(ValueError, match="the inputs hold no text"):
        prepared(tmp_path / "empty.txt", tmp_path / "none")
    lines.write_text('{"text": "a"}\n{"text": 5}\n')
    with pytest.raises(ValueError, match=r"line 1 behind byte 14: 'text' is a number"):
        prepared(lines, tmp_path / "bad", size=1)
    (tmp_path / "latin.txt").write_bytes(b"\xe9")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        prepared(tmp_path / "latin.txt", tmp_path / "latin")


@pytest.mark.parametrize("name", ["1984.bin", ".mine.tmp", "tokenizer.json", "notes.txt"])
def test_a_folder_with_something_else_is_left_as_it_is(name, lines, tmp_path):
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(ValueError, match=f"own' holds '{name}', which is not of shards; choose"):
        prepared(lines, folder)
    assert {path.name for path in folder.iterdir()} <= {name, ".lock"}
    assert (folder / name).read_text() == "mine"


def test_prepared_shards_leave_other_files_beside_them(lines, tmp_path):
    prepared(lines, tmp_path / "shards")
    (tmp_path / "shards" / "1984.bin").write_text("mine")
    prepared(lines, tmp_path / "shards")
    assert (tmp_path / "shards" / "1984.bin").read_text() == "mine"


def test_a_damaged_folder(lines, tmp_path):
    folder = tmp_path / "shards"
    prepared(lines, folder)
    with (folder / "000001.bin").open("ab") as file:
        file.write(b"  ")
    with pytest.raises(ValueError, match=r"000001.bin' has .* bytes, and its index says"):
        TokenShards(str(folder)).streams(None)
    (folder / "000001.bin").unlink()
    with pytest.raises(ValueError, match=r"000001.bin' is missing, and its index says"):
        TokenShards(str(folder)).streams(None)
    facts = json.loads((folder / INDEX).read_text())
    facts["shards"][0]["largest"] = 300
    (folder / INDEX).write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"holds the id 300, beyond the 257 tokens"):
        TokenShards(str(folder)).streams(None)
    facts["shards"][0]["name"] = "../other.bin"
    for text in (json.dumps(facts), "{", "[]", json.dumps({**facts, "shards": 3})):
        (folder / INDEX).write_text(text)
        with pytest.raises(ValueError, match=r"is damaged .*; run the command"):
            TokenShards(str(folder))
    (folder / INDEX).write_text(json.dumps({"format": 2}))
    with pytest.raises(ValueError, match="has an index of format 2, and this version reads 1"):
        TokenShards(str(folder))


def test_a_process_that_is_killed(lines, tmp_path, monkeypatch):
    monkeypatch.setattr(preparing, "_write", die)
    with pytest.raises(ValueError, match="a process was killed, perhaps for want of memory"):
        prepared(lines, tmp_path / "shards", processes=2)


def die(number, unit):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_a_recipe_trains_on_shards_as_on_the_text(lines, tmp_path, monkeypatch):
    """From the command line, documents apart: the weights are those of the text itself."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    (tmp_path / "val.jsonl").write_text('{"text": "a validation text"}\n')
    made = ["--shard_bytes", "400", "--processes", "1", "--tokenizer"]
    pairs = ["BytePairTokenizer", "--tokenizer.vocab_size", "300"]
    same = ["FileTokenizer", "--tokenizer.path", "tokens/train/tokenizer.json"]
    cli.main(["prepare", "texts.jsonl", "--output", "tokens/train", *made, *pairs])
    cli.main(["prepare", "val.jsonl", "--output", "tokens/val", *made, *same])
    source = "--data.source"
    weights = {}
    for name, given in {
        "shards": ["TokenShards", f"{source}.train=tokens/train", f"{source}.val=tokens/val"],
        "text": ["JsonLines", f"{source}.train=texts.jsonl", f"{source}.val=val.jsonl"],
    }.items():
        data = ["--data.length=16", "--data.separate_documents=true", source, *given]
        if name == "text":
            data += ["--data.tokenizer=BytePairTokenizer", "--data.tokenizer.vocab_size=300"]
        train(data, name)
        weights[name] = torch.load(f"{name}/last.ckpt", weights_only=True)["state_dict"]
    assert all(
        torch.equal(value, weights["text"][key]) for key, value in weights["shards"].items()
    )
    read = ["StreamedText", f"{source}.path=json", f"{source}.data_files.train=texts.jsonl"]
    read += [f"{source}.data_files.validation=val.jsonl"]
    tokenizer = ["--data.tokenizer", *same[:1], f"--data.tokenizer.path={same[2]}"]
    train(["--data=StreamedTokenData", "--data.length=16", source, *read, *tokenizer], "streamed")
    state = torch.load("streamed/last.ckpt", weights_only=True)["StreamedTokenData"]
    assert state["bookmarks"]["0"]["windows"] == 0


def train(data, folder):
    """Trains two steps."""
    words = ["fit", "--config", "sotu", "--config", "smoke", *data]
    saved = ["--trainer.enable_checkpointing=true", f"--checkpoint.dirpath={folder}"]
    cli.main([*words, *saved, "--trainer.default_root_dir=runs"])
