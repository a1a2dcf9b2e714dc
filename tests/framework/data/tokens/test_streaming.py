"""A streamed text gives the same batches for all processes and workers, and goes on exactly."""

import itertools
import json
import shutil
from functools import partial

import datasets
import numpy as np
import pytest
import torch

from components.heads.linear import LinearHead
from components.stems import TokenStem
from framework.callbacks import Checkpoint, Interruption
from framework.data.tokens.streaming.batches import Division, StreamedBatches
from framework.data.tokens.streaming.module import StreamedTokenData
from framework.data.tokens.streaming.readers import Bookmark, Reader
from framework.data.tokens.streaming.source import StreamedText
from framework.data.tokens.tokenizer import ByteTokenizer
from framework.data.tokens.vocabularies import JsonVocabulary
from framework.modules import LanguageModel
from tests.framework.exchange import spoken
from tests.framework.modules.parts import options, trainer
from tests.ranks import run_ranks

SIZES = (40, 3, 17, 9)  # documents of the files, as uneven as they are
LENGTH, BLOCK = 8, 5


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    for number, size in enumerate(SIZES):
        rows = [{"text": f"{number}.{row} {'é' * (row % 9)}"} for row in range(size)]
        lines = [json.dumps(row) + "\n" for row in [*rows, {"text": ""}]]
        (tmp_path / f"{number}.jsonl").write_text("".join(lines))
    copy = shutil.copy(tmp_path / "1.jsonl", tmp_path / "validation.jsonl")
    files = {"train": str(tmp_path / "[0-9].jsonl"), "validation": str(copy)}
    return StreamedText("json", data_files=files, limit=20)


def texts(number):
    rows = [f"{number}.{row} {'é' * (row % 9)}" for row in range(SIZES[number])]
    return [token for text in rows for token in (256, *text.encode())]


def reader(source, number=0, readers=4, block=BLOCK, seed=1):
    return Reader(source, ByteTokenizer(), LENGTH, block, seed, number, readers)


def first(iterable, number):
    return list(itertools.islice(iterable, number))


def test_documents_end_with_a_token_of_their_own(source):
    vocabulary = JsonVocabulary(spoken.engine(), "</s>", begin="<s>")
    window = next(Reader(source, vocabulary, 200, 1, 1, 1, 4).windows(0))
    one, two, three = vocabulary.encode([f"1.{row} {'é' * row}" for row in range(3)])
    expected = [1, *one, 2, 1, *two, 2, 1, *three, 2]
    assert window.ids.tolist()[: len(expected)] == expected


@pytest.mark.parametrize("number", [0, 1])
def test_a_reader_cuts_its_files_into_windows_without_end(source, number):
    row = texts(number) * 40
    for block in (1, 3):
        windows = first(reader(source, number, block=block).windows(0), 60)
        for begin in range(0, 60, block):
            found = sorted(window.ids.tolist() for window in windows[begin : begin + block])
            starts = range(begin * LENGTH, (begin + block) * LENGTH, LENGTH)
            assert found == sorted(row[start : start + LENGTH + 1] for start in starts)


def test_a_reader_goes_on_from_a_bookmark(source, monkeypatch):
    """To the windows that it would have read, and without what lies before it."""
    whole = first(reader(source).windows(0), 50)
    marks = [window.bookmark for window in whole if window.bookmark]
    assert [mark.windows for mark in marks] == list(range(0, 50, BLOCK))
    counted = []
    read = StreamedText.read

    def counting(*args):
        for one in read(*args):
            counted.append(one)
            yield one

    monkeypatch.setattr(StreamedText, "read", counting)
    for begin, mark in ((23, marks[4]), (23, marks[1]), (23, None), (40, marks[8])):
        counted.clear()
        plain = mark and Bookmark(**json.loads(json.dumps(mark.plain())))
        found = first(reader(source).windows(begin, plain), 50 - begin)
        assert [w.ids.tolist() for w in found] == [w.ids.tolist() for w in whole[begin:]]
        if begin == 40:
            assert len(counted) < 25


def batches(
    source, number, rank=0, world=1, workers=0, start=0, readers=4, marks=None, pinned=False
):
    made = partial(_reader, source, readers)
    division = Division(readers, 4, rank, world)
    made = StreamedBatches(made, division, workers, lambda: start, marks or {}, pinned)
    return first(iter(made), number), made


def _reader(source, readers, number):
    return reader(source, number, readers)


def rows(*parts):
    """Windows of a batch of several processes, in an order of their own."""
    return sorted(row for part in parts for row in part.target.tolist())


@pytest.mark.parametrize(("world", "workers"), [(1, 2), (2, 0), (2, 2), (4, 0)])
def test_processes_and_workers_share_the_batches(source, world, workers):
    whole, _ = batches(source, 9)
    parts = [batches(source, 9, rank, world, workers)[0] for rank in range(world)]
    assert [rows(*shares) for shares in zip(*parts, strict=True)] == [rows(b) for b in whole]
    assert all(len(b.target) == 4 // world for part in parts for b in part)


def test_batches_are_as_a_gpu_copies_them_while_it_works(source, monkeypatch):
    """Contiguous, and in pinned memory, which only a machine with a GPU has."""
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda x: pinned.append(x) or x)
    [batch], _ = batches(source, 1)
    assert all(field.is_contiguous() for field in batch)
    assert batch.target[:, :-1].equal(batch.tokens[:, 1:])
    assert pinned == []
    [batch], _ = batches(source, 1, pinned=True)
    assert all(one is field for one, field in zip(pinned, batch, strict=True))


def test_batches_go_on_at_a_step_with_and_without_bookmarks(source):
    whole, made = batches(source, 20)
    marks = {number: made.mark(number, 12) for number in range(4)}
    assert {mark.windows for mark in marks.values()} == {10}
    for known in ({}, {0: marks[0]}, marks):
        for world in (1, 2):
            parts = [batches(source, 8, r, world, start=12, marks=known)[0] for r in range(world)]
            found = [rows(*shares) for shares in zip(*parts, strict=True)]
            assert found == [rows(b) for b in whole[12:]]


class Seen(LanguageModel):
    """Keeps the batches that it was trained on."""

    def training_step(self, batch, batch_idx):
        self.seen = [*getattr(self, "seen", []), rows(batch)]
        return super().training_step(batch, batch_idx)


class Failing(Seen):
    """Fails on the first rank after three steps, in a micro-batch that others wait in."""

    def training_step(self, batch, batch_idx):
        if self.global_step == 3 and self.global_rank == 0 and batch_idx % 2:
            raise MemoryError("too large")
        return super().training_step(batch, batch_idx)


def begin(source, devices, steps, kind=Seen, resume=None, **settings):
    data = StreamedTokenData(source, ByteTokenizer(), LENGTH, 4, BLOCK, batch_size=4, seed=1)
    module = kind(**options(data.spec, TokenStem, LinearHead))
    runner = trainer(devices=devices, max_steps=steps, accumulate_grad_batches=2, **settings)
    runner.fit(module, data, ckpt_path=resume)
    return module, runner


def fit(source, path, devices, steps, resume=None):
    module, runner = begin(source, devices, steps, resume=resume)
    runner.save_checkpoint(path)
    return module.seen, {name: p.detach().numpy() for name, p in module.named_parameters()}


@pytest.mark.slow
def test_a_run_goes_on_exactly_on_another_number_of_processes(source, tmp_path):
    whole, weights = fit(source, tmp_path / "whole.ckpt", 1, 12)
    begun = run_ranks(fit, 2, source, tmp_path / "begun.ckpt", 2, 7)
    saved = torch.load(tmp_path / "begun.ckpt", weights_only=True)["StreamedTokenData"]
    assert {int(number) for number in saved["bookmarks"]} == {0, 1, 2, 3}
    assert {mark["windows"] for mark in saved["bookmarks"].values()} == {10}
    seen, ended = fit(source, tmp_path / "end.ckpt", 1, 12, str(tmp_path / "begun.ckpt"))
    joined = [sorted([*a, *b]) for a, b in zip(begun[0][0], begun[1][0], strict=True)]
    assert joined + seen == whole
    for name, value in weights.items():
        np.testing.assert_allclose(ended[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_ranks_that_go_on_save_how_far_they_are_by_then(source, tmp_path):
    """Not how far the checkpoint was, which each knows of the readers of the other one."""
    path, later = tmp_path / "begun.ckpt", tmp_path / "later.ckpt"
    run_ranks(fit, 2, source, path, 2, 7)
    run_ranks(fit, 2, source, later, 2, 12, str(path))
    saved = torch.load(later, weights_only=True)["StreamedTokenData"]["bookmarks"]
    assert {number: mark["windows"] for number, mark in saved.items()} == dict.fromkeys("0123", 20)


def test_a_rank_that_fails_saves_what_it_knows_without_the_others(source, tmp_path):
    """How far its own readers are; the run goes on to the same batches."""

    def keeping(name):
        checkpoint = Checkpoint(dirpath=str(tmp_path / name))
        return {
            "callbacks": [checkpoint, Interruption(patience=2.0)],
            "enable_checkpointing": True,
        }

    def fail():
        with pytest.raises((MemoryError, RuntimeError)):
            begin(source, 2, 12, Failing, **keeping("failed"))

    run_ranks(fail, 2, timeout=30)
    path = tmp_path / "failed" / "step=3.ckpt"
    saved = torch.load(path, weights_only=True)["StreamedTokenData"]
    assert saved["bookmarks"].keys() == {"0", "2"}
    ended, _ = begin(source, 1, 12, resume=path, **keeping("ended"))
    whole, _ = begin(source, 1, 12)
    assert ended.seen == whole.seen[6:]


def test_the_first_documents_are_kept_for_evaluation(source):
    data = StreamedTokenData(source, ByteTokenizer(), LENGTH)
    assert data._streams.streams["val"].ids.tolist() == texts(1)
    assert data.counts().sum() == len([i for i in data._streams.streams["train"].ids])
    assert len(list(source.documents("train"))) == 20


def test_mistakes_end_in_one_sentence(source, tmp_path):
    make = partial(StreamedTokenData, source, ByteTokenizer(), LENGTH)
    with pytest.raises(ValueError, match=r"has 4 files, fewer than readers=8; use at most"):
        make(8).train_dataloader()
    with pytest.raises(ValueError, match=r"readers=3 .* 1 processes with num_workers=2; use a mu"):
        make(3, num_workers=2).train_dataloader()
    for name in ("readers", "block"):
        with pytest.raises(ValueError, match=rf"{name}=0 is not positive"):
            make(**{name: 0})
    with pytest.raises(ValueError, match="limit=0 keeps no document"):
        StreamedText("json", limit=0)
    other = StreamedText("json", data_files=source.data_files, column="words")
    with pytest.raises(ValueError, match=r"has the columns \['text'\], not 'words'; name the"):
        list(other.documents("val"))
    (tmp_path / "empty.jsonl").write_text('{"text": ""}\n')
    empty = StreamedText("json", data_files={"train": str(tmp_path / "empty.jsonl")})
    with pytest.raises(ValueError, match="reader 0 of 1 finds no text in its part"):
        next(reader(empty, readers=1).windows(0))
