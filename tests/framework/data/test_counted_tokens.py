"""Tokens of the training text are counted; another corpus is served in the same vocabulary."""

from collections import Counter

import numpy as np
import pytest
import torch

from framework.data.tokens import module
from framework.data.tokens.corpora import TextFiles
from framework.data.tokens.module import TokenData
from framework.data.tokens.tokenizer import BytePairTokenizer, ByteTokenizer, KnownVocabulary

PROSE = "".join(f"Line {k} of a text — with dashes.\n" for k in range(200))


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.txt").write_text(PROSE)
    (tmp_path / "val.text").write_text("Line of naïve text.\n")
    return TextFiles(str(tmp_path / "a.txt"), str(tmp_path / "val.text"))


@pytest.fixture
def others(tmp_path):
    (tmp_path / "c.h").write_text("#define LINES 200\n" * 50)
    return TextFiles(str(tmp_path / "c.h"), holdout=0.2)


@pytest.mark.parametrize("piece", [7, 1 << 24])
def test_counts_are_those_of_the_training_text(files, piece, monkeypatch):
    monkeypatch.setattr(module, "COUNTED", piece)
    data = TokenData(files, ByteTokenizer(), 16, multiple=128)
    counts = data.counts()
    expected = Counter([256, *PROSE.encode()])
    assert counts.dtype == torch.int64
    assert counts.tolist() == [expected[token] for token in range(384)]
    assert data.vocabulary_size == 257


def test_counts_of_pairs(files):
    data = TokenData(files, BytePairTokenizer(300), 16)
    ids = [data._streams.vocabulary.end, *data.encode(PROSE)]
    assert data.counts().tolist() == np.bincount(ids, minlength=300).tolist()
    assert data.vocabulary_size == data.spec.support.size == 300


def test_elsewhere_is_another_text_in_the_same_tokens(files, others):
    data = TokenData(files, BytePairTokenizer(300), 16, 128, batch_size=4, seed=3)
    other = data.elsewhere(others)
    assert other.spec.support == data.spec.support
    assert (other.length, other.batch_size, other.seed) == (16, 4, 3)
    text = "#define LINES 200\n" * 50
    assert other.encode(text) == data.encode(text)
    batch = other.dataset("val").__getitems__([0])
    assert data.decode(batch.target[0].tolist()) in text
    own = TokenData(others, BytePairTokenizer(300), 16)
    assert own.encode(text) != data.encode(text)


def test_a_known_vocabulary_reads_no_text():
    known = KnownVocabulary(ByteTokenizer())
    assert known.fit("any", lambda: pytest.fail("read")) is known.vocabulary
