"""The tokenizer travels with a checkpoint: other data are read in it, or refused."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

import cli
from framework.checkpoints import read
from framework.console.resume import origin
from framework.data import BytePairTokenizer, ByteTokenizer, TextFiles, TokenData, TokenFiles
from framework.data.tokens.tokenizer import KnownVocabulary, Tokenizer
from framework.data.tokens.vocabularies import Numerals, Vocabulary
from framework.modules import LanguageModel
from framework.modules.loading import load_module
from tests.framework.conftest import OTHER, TEXT

pytestmark = pytest.mark.usefixtures("unsaved_pictures")


def score(path, data, split):
    """Sums over all targets: nats, and bytes of the tokens' text."""
    module, total, ids = load_module(path), 0.0, []
    examples = data.dataset(split)
    batch = examples.__getitems__(list(range(len(examples))))
    counted = batch.weight > 0
    with torch.no_grad():
        total = -module(batch).log_prob(batch.target)[counted].double().sum().item()
    ids = batch.target[counted].tolist()
    return total / len(ids), len(data.decode(ids).encode()) / len(ids)


def metrics_of(folder):
    [path] = folder.rglob("metrics.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_other_text_is_scored_in_the_tokens_of_the_checkpoint(written, tmp_path):
    """Also where it takes the place of the training text, to which the tokenizer was fitted."""
    own = TokenData(TextFiles(str(written.folder / "text.txt")), BytePairTokenizer(300), 32)
    right = own.elsewhere(TextFiles(str(written.folder / "text.txt"), str(written.other)))
    nll, length = score(written.checkpoint, right, "test")
    wrong = TokenData(TextFiles(str(written.other)), BytePairTokenizer(300), 32)
    assert wrong.vocabulary.digest() != right.vocabulary.digest()
    shutil.copy(written.other, trained := tmp_path / "trained.txt")
    options = [f"--data.source.train={trained}", f"--data.source.test={written.other}"]
    place = f"--trainer.logger.save_dir={tmp_path}"
    quiet = "--trainer.enable_progress_bar=false"
    cli.main(["test", "--ckpt_path", str(written.checkpoint), *options, place, quiet])
    found = metrics_of(tmp_path)
    assert found["test/nll"] == pytest.approx(nll, rel=1e-5)
    bits = nll / math.log(2) / length
    assert found["test/bits_per_byte"] == pytest.approx(bits, rel=1e-5)
    assert own.bytes_per_token("val") != pytest.approx(length, rel=0.01)


@pytest.mark.slow
def test_a_run_on_other_text_keeps_the_tokenizer(written, tmp_path):
    recipe = written.checkpoint.parent.parent / "config.yaml"
    cli.main([
        *("fit", "--config", str(recipe), "--init_from", str(written.checkpoint)),
        *("--data.source.train", str(written.other), "--trainer.max_steps", "1"),
        *("--trainer.logger.save_dir", str(tmp_path), "--trainer.val_check_interval", "1"),
        "--trainer.limit_val_batches=1",
    ])  # fmt: skip
    last = next(tmp_path.rglob("last.ckpt"))
    assert read(last)["tokenizer"] == read(written.checkpoint)["tokenizer"]


@pytest.mark.parametrize("published", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_run_on_other_tokens_starts_from_a_backbone_only(written, published, tmp_path, capsys):
    """Rows of embedding and read-out would be those of other tokens, where shapes agree."""
    recipe = written.checkpoint.parent.parent / "config.yaml"
    start = written.checkpoint
    if published:
        own = read(start)["tokenizer"]
        (start := tmp_path / "model").mkdir()
        (start / "tokenizer.json").write_text(own["json"])
    words = [
        *("fit", "--config", str(recipe), "--init_from", str(start)),
        *("--data.tokenizer", "ByteTokenizer", "--data.multiple", "300", "--trainer.max_steps=1"),
        *("--trainer.limit_val_batches=0", "--trainer.logger=false"),
        f"--trainer.default_root_dir={tmp_path}",
    ]
    with pytest.raises(SystemExit):
        cli.main(words)
    said = capsys.readouterr().err
    assert "ByteTokenizer: this is not the tokenizer that the model was trained with" in said
    assert "drop tokenizer to use that, or copy what does not depend on it with --init_fr" in said
    if not published:
        cli.main([*words, "--init_parts", "backbone"])
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert next(line for line in lines if line[:1] == ["stem"])[1] == "0", "none is loaded"


def restored(written, source, tokenizer=None):
    data = TokenData(source, tokenizer, 32)
    data.restore(read(written.checkpoint))
    return data


@pytest.mark.slow
def test_the_tokenizer_is_that_of_the_training_text(written):
    source = TextFiles(str(written.other))
    own = TokenData(TextFiles(str(written.folder / "text.txt")), BytePairTokenizer(300), 32)
    for option in (None, BytePairTokenizer(300), KnownVocabulary(own.vocabulary)):
        data = restored(written, source, option)
        assert data.encode(TEXT + OTHER) == own.encode(TEXT + OTHER)
        assert data.spec.support == own.spec.support
        again = {}
        data.store(again)
        assert again["tokenizer"] == read(written.checkpoint)["tokenizer"]


def test_another_tokenizer_is_refused(written):
    source = TextFiles(str(written.other))
    for other in (ByteTokenizer(), BytePairTokenizer(290), BytePairTokenizer(400)):
        with pytest.raises(ValueError, match=rf"{type(other).__name__}: .* 300 tokens .*; drop"):
            restored(written, source, other)
    data = TokenData(source, BytePairTokenizer(300), 32)
    with pytest.raises(ValueError, match=r"tokenizer of these data is not that of the checkpoint"):
        data.require(read(written.checkpoint))


def test_a_run_in_python_is_checked_too(written, tmp_path):
    from tests.framework.modules.parts import trainer

    data = TokenData(TextFiles(str(written.other)), BytePairTokenizer(300), 32)
    module = LanguageModel.load_from_checkpoint(written.checkpoint, weights_only=True)
    with pytest.raises(ValueError, match=r"call `data.restore\(checkpoint\)` before"):
        trainer().test(module, data, ckpt_path=written.checkpoint)


def shards(folder, ids, **options):
    np.asarray(ids, np.uint16).tofile(folder / "ids.bin")
    return TokenFiles(str(folder / "ids.bin"), str(folder / "ids.bin"), **options)


def test_shards_of_another_vocabulary_are_refused(written, tmp_path):
    ids = restored(written, TextFiles(str(written.other))).encode(OTHER)
    source = shards(tmp_path, ids, vocab_size=300)
    data = restored(written, source)
    assert data.decode(ids) == OTHER
    length = len(data.decode(ids[1:]).encode()) / (len(ids) - 1)
    assert data.bytes_per_token("test") == pytest.approx(length)
    with pytest.raises(ValueError, match=r"ByteTokenizer: this is not the tokenizer"):
        restored(written, source, ByteTokenizer())
    small = shards(tmp_path, [1, 2, 3], vocab_size=257)
    with pytest.raises(ValueError, match=r"has 300 tokens, more than vocab_size=257"):
        restored(written, small).spec  # noqa: B018
    large = shards(tmp_path, [1, 2, 300], vocab_size=1000)
    with pytest.raises(ValueError, match=r"token 2 .* is 300, beyond the 300 tokens of the token"):
        restored(written, large).spec  # noqa: B018


def test_ids_without_a_tokenizer_are_not_text(written, tmp_path):
    checkpoint = {"tokenizer": Numerals(300).describe()}
    data = TokenData(TextFiles(str(written.other)), None, 32)
    data.restore(checkpoint)
    with pytest.raises(ValueError, match=r"TextFiles: .* token ids without a tokenizer"):
        data.spec  # noqa: B018
    named = TokenData(TextFiles(str(written.other)), ByteTokenizer(), 32)
    named.restore(checkpoint)
    assert named.encode("é") == [195, 169]


class Letters(Vocabulary):
    """A vocabulary that a checkpoint cannot hold."""

    size, end = 128, 0

    def __init__(self, name):
        self.name = name

    def encode(self, texts):
        return [[ord(letter) % 128 for letter in text] for text in texts]

    def decode(self, ids):
        return "".join(map(chr, ids))

    def digest(self):
        return self.name


class Fitted(Tokenizer):
    def fit(self, digest, documents):
        return Letters(digest)


def test_a_vocabulary_of_ones_own_is_recognized(written):
    own = TokenData(TextFiles(str(written.folder / "text.txt")), Fitted(), 32)
    checkpoint = {}
    own.store(checkpoint)
    again = TokenData(own.source, Fitted(), 32)
    again.restore(checkpoint)
    again.require(checkpoint)
    assert again.vocabulary.digest() == own.vocabulary.digest()
    other = TokenData(TextFiles(str(written.other)), Fitted(), 32)
    other.restore(checkpoint)
    with pytest.raises(ValueError, match=r"trained with a tokenizer of 128 tokens that a check"):
        other.spec  # noqa: B018


def test_the_origin_of_parameters_is_what_a_run_resumes_or_starts_from(written, tmp_path):
    """A run that starts from the parameters of a model reads its tokens, too."""
    path = str(written.checkpoint)
    tokenizer = read(path)["tokenizer"]

    def start(path):
        given = {"class_path": "framework.exchange.Weights", "init_args": {"path": path}}
        return {"initialization": given}

    for found, _ in (origin(path, {}), origin(path, start("gone")), origin(None, start(path))):
        assert found["tokenizer"] == tokenizer
    assert [origin(path, {})[1], origin(None, start(path))[1]] == [True, True]
    backbone = start(path)
    backbone["initialization"]["init_args"]["parts"] = ["backbone"]
    assert not origin(None, backbone)[1], "whose tokens may be others"
    for model in ({}, {"initialization": None}, start("gone"), start(str(tmp_path))):
        assert origin(None, model)[0] == {}
    assert origin("hpc", start(path)) == ({}, False)
    with pytest.raises(ValueError, match=r"There is no checkpoint 'gone.ckpt'"):
        origin("gone.ckpt", {})
