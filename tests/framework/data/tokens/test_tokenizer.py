"""Vocabularies encode any text and decode it; their digest identifies their origin."""

import json

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from framework.data.tokens.tokenizer import (
    END,
    BytePairTokenizer,
    ByteTokenizer,
    FileTokenizer,
)
from framework.data.tokens.vocabularies import JsonVocabulary, Numerals, restore
from tests.framework.exchange import spoken

TEXT = "It was the best of times,\n\nit was the worst of times … naïve 😀\n" * 20


def fit(tokenizer, text=TEXT, digest="text"):
    return tokenizer.fit(digest, lambda: [text])


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BytePairTokenizer(300)])
@pytest.mark.parametrize("text", [TEXT, "", " ", "unseen: ß∂ƒ\t\r\n  x", "a\x00b"])
def test_any_text_is_read_back(tokenizer, text):
    vocabulary = fit(tokenizer)
    (ids,) = vocabulary.encode([text])
    assert vocabulary.decode(ids) == text
    assert all(0 <= i < vocabulary.size and i != vocabulary.end for i in ids)
    assert vocabulary.decode([vocabulary.end, *ids, vocabulary.end]) == text


def test_numbers_of_tokens_may_have_gaps(tmp_path):
    engine = Tokenizer(models.WordLevel({END: 0, "the": 1, "[UNK]": 3, "cat": 7}, "[UNK]"))
    engine.save(str(tmp_path / "gaps.json"))
    vocabulary = fit(FileTokenizer(str(tmp_path / "gaps.json")))
    assert vocabulary.encode(["cat"]) == [[7]]
    assert vocabulary.size == 8


def test_bytes_are_bytes():
    assert ByteTokenizer().encode(["é"]) == [[0xC3, 0xA9]]
    assert ByteTokenizer().decode([0xC3]) == "\N{REPLACEMENT CHARACTER}"


def test_pairs_make_text_shorter_and_are_trained_once(cache):
    vocabulary = fit(BytePairTokenizer(285))
    assert vocabulary.size == 285
    assert len(vocabulary.encode([TEXT])[0]) < len(TEXT.encode()) / 2
    again = BytePairTokenizer(285).fit("text", lambda: pytest.fail("trained twice"))
    assert again.digest() == vocabulary.digest()
    assert fit(BytePairTokenizer(280)).digest() != vocabulary.digest()
    other = fit(BytePairTokenizer(285), "quite another text " * 50, "other")
    assert other.digest() != vocabulary.digest()


def test_a_file_gives_the_same_tokens(tmp_path):
    vocabulary = fit(BytePairTokenizer(300))
    copy = tmp_path / "tokenizer.json"
    copy.write_bytes(vocabulary.path.read_bytes())
    assert FileTokenizer(str(copy)).encode([TEXT]) == vocabulary.encode([TEXT])
    assert FileTokenizer(str(copy)).digest() == vocabulary.digest()


def test_files_that_are_no_tokenizer(tmp_path):
    with pytest.raises(ValueError, match=r"there is no file path='gone.json'"):
        FileTokenizer("gone.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a file of the tokenizers library"):
        FileTokenizer(str(tmp_path / "bad.json"))
    Tokenizer(models.WordLevel({"a": 0, "</s>": 1}, "a")).save(str(tmp_path / "words.json"))
    with pytest.raises(ValueError, match=r"has no token end='<\|endoftext\|>'"):
        FileTokenizer(str(tmp_path / "words.json"))
    assert FileTokenizer(str(tmp_path / "words.json"), end="</s>").end == 1


def test_too_small_a_vocabulary():
    with pytest.raises(ValueError, match=r"vocab_size=256 leaves no room.*at least 257"):
        BytePairTokenizer(256)


def test_numerals_show_ids():
    assert Numerals(100).decode([7, 42]) == "7 42"
    assert Numerals(100).encode(["7 42"]) == [[7, 42]]


def changed(vocabulary, tmp_path, **settings):
    """Saves a tokenizer with other settings in its file."""
    found = json.loads(vocabulary.path.read_text(encoding="utf-8")) | settings
    (tmp_path / "tokenizer.json").write_text(json.dumps(found), encoding="utf-8")
    return FileTokenizer(str(tmp_path / "tokenizer.json"))


TRUNCATION = {"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    **{"strategy": {"Fixed": 4096}, "direction": "Right", "pad_to_multiple_of": None},
    **{"pad_id": 0, "pad_type_id": 0, "pad_token": END},
}


@pytest.mark.parametrize("settings", [{"truncation": TRUNCATION}, {"padding": PADDING}])
def test_texts_are_neither_cut_nor_padded(tmp_path, settings):
    vocabulary = fit(BytePairTokenizer(300))
    other = changed(vocabulary, tmp_path, **settings)
    texts = [TEXT, "short"]
    assert other.encode(texts) == vocabulary.encode(texts)
    assert other.digest() == vocabulary.digest()


@pytest.mark.parametrize("special", [True, False])
def test_text_that_spells_a_special_token_is_text(tmp_path, special):
    vocabulary = fit(BytePairTokenizer(300))
    tokens = json.loads(vocabulary.path.read_text(encoding="utf-8"))["added_tokens"]
    marked = changed(vocabulary, tmp_path, added_tokens=[{**tokens[0], "special": special}])
    text = f"a {END} b {END}"
    for each in (vocabulary, marked, ByteTokenizer()):
        [ids] = each.encode([text])
        assert each.end not in ids
        assert each.decode([each.end, *ids]) == text


PIECES = {"<unk>": 0.0, "<s>": 0.0, "</s>": 0.0, "▁": -2.0, "a": -3.0, "▁a": -2.5}
PIECES |= dict.fromkeys("<s>/unk", -4.0)
UNIGRAM = Tokenizer(models.Unigram([*PIECES.items()], 0))
UNIGRAM.pre_tokenizer, UNIGRAM.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
WORDS = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "a": 3}, "<unk>"))
WORDS.pre_tokenizer = pre_tokenizers.WhitespaceSplit()


@pytest.mark.parametrize("engine", [UNIGRAM, WORDS, spoken.engine()])
def test_words_of_a_model_that_are_special_tokens_are_text_too(engine):
    """In a vocabulary of sentencepiece special tokens are words, which it finds in any text."""
    engine.add_special_tokens(["<unk>", "<s>", "</s>"])
    vocabulary = JsonVocabulary(Tokenizer.from_str(engine.to_str()), "</s>", begin="<s>")
    again = restore(json.loads(json.dumps(vocabulary.describe())))
    for text in ("a <s> a", "<s>", "a</s>a <unk>"):
        [ids] = vocabulary.encode([text])
        assert not {vocabulary.begin, *vocabulary.ends} & {*ids}
        assert engine is WORDS or vocabulary.decode(ids) == text
        assert again.encode([text]) == [ids]
    assert again.digest() == vocabulary.digest()
    assert vocabulary.encode(["a a"])[0] == engine.encode("a a", add_special_tokens=False).ids
    published = engine.encode("a <s> a").ids
    assert vocabulary.encode_as_published(["a <s> a"]) == [published]
    assert vocabulary.begin in published


def test_a_document_may_begin_with_one_token_and_end_with_another(tmp_path):
    spoken.engine().save(str(tmp_path / "tokenizer.json"))
    two = FileTokenizer(str(tmp_path / "tokenizer.json"), end="</s>", begin="<s>")
    one = FileTokenizer(str(tmp_path / "tokenizer.json"), end="</s>")
    assert (two.begin, two.end, two.ends, two.between) == (1, 2, (2,), [2, 1])
    assert (one.begin, one.end, one.ends, one.between) == (2, 2, (2,), [2])
    assert one.digest() != two.digest()
    with pytest.raises(ValueError, match=r"has no token begin='<b>'; set begin to"):
        FileTokenizer(str(tmp_path / "tokenizer.json"), end="</s>", begin="<b>")
    held = {**two.describe(), "ends": [4, 2], "files": {"a.json": "{}"}}
    restored = restore(held)
    assert (restored.ends, restored.files) == ((2, 4), {"a.json": "{}"})
    assert restored.digest() == two.digest()
    earlier = {name: held[name] for name in ("kind", "json", "end", "requested")}
    assert restore(earlier).digest() == one.digest()


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BytePairTokenizer(300)])
def test_a_description_is_plain_data_and_restores_the_vocabulary(tokenizer):
    vocabulary = fit(tokenizer)
    again = restore(json.loads(json.dumps(vocabulary.describe())))
    text = f"{TEXT}{END} 😀"
    assert again.encode([text]) == vocabulary.encode([text])
    assert (again.digest(), again.size) == (vocabulary.digest(), vocabulary.size)
    assert again.end == vocabulary.end


def test_a_description_of_a_later_version():
    with pytest.raises(ValueError, match="of the kind 'words', which this version does not know"):
        restore({"kind": "words"})


def test_words_are_no_ids():
    with pytest.raises(ValueError, match=r"'nine' is no id from 0 to 99; give ids"):
        Numerals(100).encode(["7 nine"])
    with pytest.raises(ValueError, match=r"'100' is no id"):
        Numerals(100).encode(["100"])
