"""Windows of text cover every token once; the spec measures bytes as bits per byte need them."""

import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer as Engine
from tokenizers import decoders, models

from components.data import TokenBatch
from components.stems import TokenStem
from framework.data.tokens import module, streams, token_files
from framework.data.tokens.module import TokenData
from framework.data.tokens.streams import Stream
from framework.data.tokens.text_files import TextFiles
from framework.data.tokens.token_files import TokenFiles
from framework.data.tokens.tokenizer import BytePairTokenizer, ByteTokenizer, KnownVocabulary
from framework.data.tokens.vocabularies import JsonVocabulary, Vocabulary
from tests.framework.exchange import spoken

PROSE = "".join(f"Line {k} of a text — with dashes.\n" for k in range(200))


@pytest.fixture
def files(tmp_path):
    """Makes two training files and a validation file."""
    (tmp_path / "a.txt").write_text(PROSE)
    (tmp_path / "b.txt").write_text(PROSE.upper())
    (tmp_path / "val.text").write_text("Line of naïve text.\nLine of über — with.\n")
    return TextFiles(str(tmp_path / "*.txt"), str(tmp_path / "val.text"))


def everything(examples):
    return examples.__getitems__(list(range(len(examples))))


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BytePairTokenizer(300)])
@pytest.mark.parametrize("length", [1, 5, 64, 1000])
def test_validation_predicts_every_token_once(files, tokenizer, length):
    data = TokenData(files, tokenizer, length)
    batch = everything(data.dataset("val"))
    (text,) = files.documents("val")
    predicted = batch.target[batch.weight > 0]
    assert data.decode(predicted.tolist()) == text
    assert predicted.tolist() == data.encode(text)
    assert batch.weight.sum() == len(predicted)
    assert batch.tokens.shape == (-(-len(predicted) // length), length)
    assert batch.tokens.dtype == batch.target.dtype == torch.int64


def test_each_position_reads_the_token_before_its_target(files):
    batch = everything(TokenData(files, ByteTokenizer(), 16).dataset("train"))
    assert torch.equal(batch.tokens.flatten()[1:], batch.target.flatten()[:-1])
    assert batch.tokens[0, 0] == ByteTokenizer.end
    assert (batch.weight == 1).all()
    stream = [256, *PROSE.encode(), 256, *PROSE.upper().encode()]
    assert batch.tokens.flatten().tolist() == stream[: batch.tokens.numel()]
    assert batch.tokens.numel() + 16 >= len(stream)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BytePairTokenizer(300)])
def test_nats_per_token_become_bits_per_byte(files, tokenizer):
    """A model that spends 8 bits on each byte and none on the rest has 8 bits per byte."""
    data = TokenData(files, tokenizer, 10)
    (text,) = files.documents("val")
    targets = everything(data.dataset("val")).weight.sum().item()
    nats_per_token = 8 * np.log(2) * len(text.encode()) / targets
    assert nats_per_token / np.log(2) / data.spec.bytes_per_token == pytest.approx(8, rel=1e-6)


def test_only_training_text_forms_the_vocabulary(files, tmp_path):
    before = TokenData(files, BytePairTokenizer(300)).spec
    tokens = TokenData(files, BytePairTokenizer(300)).encode(PROSE)
    (tmp_path / "val.text").write_text("zqzqzqzq" * 500)
    data = TokenData(files, BytePairTokenizer(300))
    assert data.encode(PROSE) == tokens
    assert data.spec.bytes_per_token < before.bytes_per_token


def test_long_documents_are_encoded_in_pieces_without_a_trace(files, monkeypatch):
    """The ids of a text in pieces are those that the tokenizer gives to the whole."""
    tokenizer = BytePairTokenizer(400)
    monkeypatch.setattr(streams, "PIECE", 50)
    pieces = list(streams._pieces([PROSE, "x\n \n y", ""]))
    assert "".join(piece for _, piece in pieces) == PROSE + "x\n \n y"
    assert sum(first for first, _ in pieces) == 2
    assert max(len(piece) for _, piece in pieces) < 50 + 40
    data = TokenData(files, tokenizer, 1)
    ids = everything(data.dataset("train")).target.flatten().tolist()
    first, second = files.documents("train")
    end = data._streams.vocabulary.end
    assert ids == [*data.encode(first), end, *data.encode(second)]


def test_workers_get_a_place_and_not_a_copy(files):
    windows = TokenData(files, ByteTokenizer(), 16).dataset("train")
    assert len(pickle.dumps(windows)) < 1000
    copy = pickle.loads(pickle.dumps(windows))
    assert isinstance(copy.stream.ids, np.memmap)
    assert torch.equal(everything(copy).tokens, everything(windows).tokens)


def test_the_order_depends_on_the_seed_alone(files):
    def first(seed):
        data = TokenData(files, ByteTokenizer(), 16, batch_size=8, seed=seed)
        return next(iter(data.train_dataloader())).tokens

    assert torch.equal(first(1), first(1))
    assert not torch.equal(first(1), first(2))


@pytest.mark.parametrize(("multiple", "size"), [(1, 257), (128, 384), (257, 257), (1000, 1000)])
def test_a_vocabulary_is_filled_up_to_a_multiple(files, multiple, size):
    data = TokenData(files, ByteTokenizer(), 16, multiple=multiple)
    assert data.spec.support.size == size
    assert everything(data.dataset("train")).target.max() < 257
    assert data.decode([*b"text", size - 1]) == "text"


def test_the_vocabulary_of_olmo_is_filled_up_as_theirs(files, monkeypatch):
    """Groeneveld et al., "OLMo" (arXiv:2402.00838): 50,280 tokens count as 50,304."""
    monkeypatch.setattr(ByteTokenizer, "size", 50_280)
    assert TokenData(files, ByteTokenizer(), multiple=128).spec.support.size == 50_304
    with pytest.raises(ValueError, match="multiple=0 is not positive"):
        TokenData(files, multiple=0)


def test_text_shorter_than_a_window(files):
    data = TokenData(files, ByteTokenizer(), 1_000_000)
    with pytest.raises(ValueError, match=r"fewer than one window.*smaller length=1000000"):
        data.dataset("train")
    assert len(data.dataset("val")) == 1
    with pytest.raises(ValueError, match="length=0"):
        TokenData(files, length=0)


@pytest.mark.parametrize(
    ("dtype", "suffix"), [("uint16", "bin"), ("uint32", "bin"), ("int64", "npy")]
)
def test_token_files_are_read_where_they_lie(tmp_path, dtype, suffix):
    ids = np.arange(50, dtype=dtype)
    path = str(tmp_path / f"ids.{suffix}")
    np.save(path, ids) if suffix == "npy" else ids.tofile(path)
    data = TokenData(TokenFiles(path, path, 50, dtype=dtype), length=7)
    batch = everything(data.dataset("val"))
    assert batch.target[batch.weight > 0].tolist() == list(range(1, 50))
    assert data.spec.support.size == 50
    assert data.decode([3, 4]) == "3 4"
    assert len(data.dataset("train")) == 7


def test_token_files_with_their_tokenizer_measure_bytes(tmp_path):
    text = "naïve — text"
    np.array([0, *text.encode()], np.uint16).tofile(tmp_path / "ids.bin")
    path = str(tmp_path / "ids.bin")
    data = TokenData(TokenFiles(path, path, 257), ByteTokenizer(), 4)
    assert data.spec.bytes_per_token == 1
    assert data.decode(data.dataset("val").stream.ids[1:].tolist()) == text
    with pytest.raises(ValueError, match=r"257 tokens, more than vocab_size=256"):
        TokenData(TokenFiles(path, path, 256), ByteTokenizer()).spec  # noqa: B018


def test_token_files_are_read_whole_once(tmp_path, monkeypatch):
    """By one process of a machine; later ones start without, until the file is another one."""
    path = str(tmp_path / "ids.npy")
    np.save(path, np.arange(200_000) % 200)
    data = TokenData(TokenFiles(path, path, 257), ByteTokenizer())
    measured = data.spec
    for name in ("_range", "_length"):
        monkeypatch.setattr(token_files, name, lambda *_, **__: pytest.fail("read"))
    assert TokenData(TokenFiles(path, path, 257), ByteTokenizer()).spec == measured
    with pytest.raises(ValueError, match=r"token 199 of .* is 199, beyond vocab_size=199"):
        TokenData(TokenFiles(path, path, 199)).spec  # noqa: B018
    np.save(path, np.arange(200_000) % 201)
    with pytest.raises(pytest.fail.Exception):
        TokenData(TokenFiles(path, path, 257)).spec  # noqa: B018


def words(names, decoder):
    engine = Engine(models.WordLevel({name: k for k, name in enumerate(names)}, names[-1]))
    engine.decoder = decoder
    return JsonVocabulary(engine, names[0])


def byte_pairs():
    return BytePairTokenizer(300).fit("prose", lambda: [PROSE])


def words_and_bytes():
    """As of Llama: characters without a token are bytes, a space in front of all is left out."""
    names = ["<end>", "▁a", "b", *(f"<0x{k:02X}>" for k in range(256))]
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return words(names, decoders.Sequence([*parts, decoders.Strip(" ", 1, 0)]))


def word_pieces():
    return words(["<end>", "a", "##b", ".", "é", "##ü"], decoders.WordPiece())


@pytest.mark.parametrize("kind", [ByteTokenizer, byte_pairs, words_and_bytes, word_pieces])
def test_bytes_of_parts_are_those_of_the_whole(kind, tmp_path, monkeypatch):
    """Also where parts divide a character, or tokens are not text."""
    vocabulary = kind()
    drawn = np.random.default_rng(0).integers(0, vocabulary.size, 3000).tolist()
    if kind is words_and_bytes:
        drawn[:2000] = 200 * [0, 1, 2, *(3 + byte for byte in "€".encode() + "é".encode()), 1, 2]
    elif kind is not word_pieces:
        drawn[:2000] = [vocabulary.end, *vocabulary.encode([PROSE])[0]][:2000]
    np.save(tmp_path / "ids.npy", drawn)
    expected = len(vocabulary.decode(drawn[1:]).encode()) / 2999
    sizes, decode = [], vocabulary.decode
    monkeypatch.setattr(vocabulary, "decode", lambda ids: sizes.append(len(ids)) or decode(ids))
    monkeypatch.setattr(token_files, "SHARED", 50)
    for size in (101, 102, 103):
        monkeypatch.setattr(token_files, "DECODED", size)
        found = token_files._length(Stream(tmp_path / "ids.npy"), vocabulary)
        assert found["bytes"] == expected
    assert max(sizes) == 153


def test_token_beyond_the_vocabulary(tmp_path):
    np.save(tmp_path / "ids.npy", np.array([1, 2, 9, 3]))
    path = str(tmp_path / "ids.npy")
    with pytest.raises(ValueError, match=r"token 2 of .*ids.npy' is 9, beyond vocab_size=9"):
        TokenData(TokenFiles(path, path, 9)).spec  # noqa: B018


@pytest.mark.parametrize(
    ("written", "read"),
    [("uint32", "uint16"), ("int64", "uint32"), ("int64", "uint16"), ("uint16", "uint8")],
)
def test_integers_that_are_read_too_narrow(tmp_path, written, read):
    ids = np.arange(50) % 7
    ids.astype(written).tofile(tmp_path / "ids.bin")
    path = str(tmp_path / "ids.bin")
    bits = 2 * np.dtype(read).itemsize * 8
    with pytest.raises(ValueError, match=rf"every second id of .* {bits} bits .* dtype to 'uint"):
        TokenData(TokenFiles(path, path, 50, dtype=read)).spec  # noqa: B018
    data = TokenData(TokenFiles(path, path, 50, dtype=written))
    assert data.dataset("val").stream.ids.tolist() == ids.tolist()
    alternating = np.stack([ids, np.zeros_like(ids)], 1).flatten()
    np.save(tmp_path / "ids.npy", alternating)
    path = str(tmp_path / "ids.npy")
    data = TokenData(TokenFiles(path, path, 50, dtype=read))
    assert data.dataset("val").stream.ids.tolist() == alternating.tolist()


def test_bytes_are_those_of_each_split(tmp_path):
    """Of text and of ids: those of the test text are not those of the validation text."""
    for name, text in {"train": "aaa", "val": "é", "test": "€"}.items():
        (tmp_path / f"{name}.txt").write_text(text * 20, encoding="utf-8")
    paths = [str(tmp_path / f"{name}.txt") for name in ("train", "val", "test")]
    corpus = TextFiles(*paths)
    vocabulary = KnownVocabulary(Runes())
    data = TokenData(corpus, vocabulary)
    assert [data.bytes_per_token(split) for split in ("val", "test")] == [2, 3]
    assert data.spec.bytes_per_token == 2
    for name, letter in {"val": "é", "test": "€"}.items():
        np.save(tmp_path / f"{name}.npy", np.array([ord(letter)] * 9))
    val, test = str(tmp_path / "val.npy"), str(tmp_path / "test.npy")
    data = TokenData(TokenFiles(val, val, 10_000, test), vocabulary)
    assert [data.bytes_per_token(split) for split in ("val", "test")] == [2, 3]


class Runes(Vocabulary):
    """A token is a character."""

    size, end = 10_000, 0

    def encode(self, texts):
        return [[ord(letter) for letter in text] for text in texts]

    def decode(self, ids):
        return "".join(map(chr, ids))

    def digest(self):
        return "runes"


def test_token_files_that_cannot_be_read(tmp_path):
    good, odd = tmp_path / "good.bin", tmp_path / "odd.bin"
    np.arange(4, dtype=np.uint16).tofile(good)
    odd.write_bytes(b"abc")
    np.save(tmp_path / "real.npy", np.ones(3))
    (tmp_path / "empty.bin").touch()
    for name, message in {
        "gone.bin": "TokenFiles: val='.*gone.bin' is not a file",
        "odd.bin": "cannot be read as uint16",
        "real.npy": "holds float64",
        "empty.bin": "is empty",
    }.items():
        with pytest.raises(ValueError, match=message):
            TokenFiles(str(good), str(tmp_path / name), 10)
    with pytest.raises(ValueError, match="cannot be read as uint17"):
        TokenFiles(str(good), str(good), 10, dtype="uint17")


@pytest.fixture
def others(tmp_path):
    (tmp_path / "c.h").write_text("#define LINES 200\n" * 50)
    return TextFiles(str(tmp_path / "c.h"), holdout=0.2)


@pytest.mark.parametrize("piece", [7, 1 << 24])
def test_counts_are_those_of_the_training_text(files, piece, monkeypatch):
    monkeypatch.setattr(module, "COUNTED", piece)
    data = TokenData(files, ByteTokenizer(), 16, multiple=128)
    counts = data.counts()
    expected = Counter([256, *PROSE.encode(), 256, *PROSE.upper().encode()])
    assert counts.dtype == torch.int64
    assert counts.tolist() == [expected[token] for token in range(384)]
    assert data.vocabulary_size == 257


def test_counts_of_pairs(files):
    data = TokenData(files, BytePairTokenizer(300), 16)
    end = data._streams.vocabulary.end
    ids = [end, *data.encode(PROSE), end, *data.encode(PROSE.upper())]
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


def test_documents_begin_with_one_token_and_end_with_another(files):
    vocabulary = JsonVocabulary(spoken.engine(), "</s>", begin="<s>")
    data = TokenData(files, KnownVocabulary(vocabulary), 16, separate_documents=True)
    one, two = vocabulary.encode([PROSE, PROSE.upper()])
    assert data._streams.streams["train"].ids.tolist() == [1, *one, 2, 1, *two]
    assert (data.spec.separator, data.end_tokens) == (1, (2,))
    assert data.begin(["the"]) == [[1, *vocabulary.encode(["the"])[0]]]


def test_documents_are_marked_by_the_token_between_them(files, tmp_path):
    data = TokenData(files, ByteTokenizer(), 8, separate_documents=True)
    assert data.spec.separator == data.elsewhere(files).spec.separator == 256
    assert TokenData(files, ByteTokenizer(), 8).spec.separator is None
    tokens = torch.tensor([[1, 2, 256, 3, 256, 256, 4, 5], [256, 1, 2, 3, 4, 5, 6, 7]])
    stem = TokenStem(4, data.spec)
    marked = stem(TokenBatch(tokens, tokens, torch.ones(2, 8))).documents
    assert marked.tolist() == [[0, 0, 1, 1, 2, 3, 3, 3], [1] * 8]
    np.save(tmp_path / "ids.npy", np.arange(9))
    source = TokenFiles(*[str(tmp_path / "ids.npy")] * 2, 10)
    with pytest.raises(ValueError, match=r"separate_documents needs the token .* give tokenizer"):
        TokenData(source, separate_documents=True).spec  # noqa: B018


def test_a_known_vocabulary_reads_no_text():
    known = KnownVocabulary(ByteTokenizer())
    assert known.fit("any", lambda: pytest.fail("read")) is known.vocabulary


def test_prompts_are_rows_padded_on_the_left(files, tmp_path):
    (tmp_path / "prompts").write_text("The é\n\nTo use\r\n", encoding="utf-8")
    data = TokenData(files, ByteTokenizer(), 16, prompts=str(tmp_path / "prompts"))
    batch = everything(data.dataset("predict"))
    rows = [tokens[mask].tolist() for tokens, mask in zip(batch.tokens, batch.mask, strict=True)]
    assert rows == [[256, *"The é".encode()], [256, *b"To use"]]
    assert batch.mask.tolist() == [[True] * 7, [True] * 7]
    (tmp_path / "p.jsonl").write_text('{"prompt": ""}\n{"prompt": "a\\nb"}\n')
    data = TokenData(files, ByteTokenizer(), 16, prompts=str(tmp_path / "p.jsonl"))
    assert data.dataset("predict").rows == [[256], [256, *b"a\nb"]]
    assert everything(data.dataset("predict")).mask[0].tolist() == [False] * 3 + [True]


def test_prompts_that_cannot_be_read(files, tmp_path):
    with pytest.raises(ValueError, match=r"TokenData: prompts='gone' is not a file"):
        TokenData(files, prompts="gone")
    (tmp_path / "blank").write_text(" \n\n")
    with pytest.raises(ValueError, match=r"blank' holds no prompt; write one a line"):
        TokenData(files, prompts=str(tmp_path / "blank"))
    (tmp_path / "p.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(ValueError, match=r"no 'prompt', it has 'text'; name the text 'prompt'"):
        TokenData(files, prompts=str(tmp_path / "p.jsonl"))
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\n{"prompt": 5}\n')
    with pytest.raises(ValueError, match=r"p.jsonl': line 2: 'prompt' is a number, not a text"):
        TokenData(files, prompts=str(tmp_path / "p.jsonl"))
