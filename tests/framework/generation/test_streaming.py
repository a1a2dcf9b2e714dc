"""Pieces of a stream make the whole text, and none shows a part of a character."""

import random

import pytest

from framework.data.tokens.tokenizer import BytePairTokenizer, ByteTokenizer
from framework.data.tokens.vocabularies import JsonVocabulary
from framework.generation.streaming import TextStream, text_after
from tests.framework.exchange import spoken

TEXT = "naïve — 😀 text, 日本語 and \N{REPLACEMENT CHARACTER} itself."


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), BytePairTokenizer(300)])
def test_text_is_shown_character_by_character(tokenizer):
    vocabulary = tokenizer.fit("streaming", lambda: ["plain English " * 20])
    [ids] = vocabulary.encode([TEXT])
    stream = TextStream(vocabulary.decode, [vocabulary.end])
    pieces = [*map(stream.add, ids), stream.finish()]
    assert "".join(pieces) == TEXT
    assert all(piece in TEXT for piece in pieces)
    assert sum(map(bool, pieces)) > 10


ODD = [0x41, 0x0A, 0xC3, 0xA9, 0xE2, 0x82, 0xF0, 0x9F, 0xFF, 0x80]
NAMES = ("▁", "▁the", "a", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in ODD))
FALLBACK = JsonVocabulary(spoken.engine(), "</s>", begin="<s>")  # bytes beside words


@pytest.mark.parametrize(
    ("vocabulary", "ids"),
    [
        (ByteTokenizer(), [*ODD, 256]),
        (FALLBACK, [*map(FALLBACK.id_of, NAMES)]),
    ],
)
@pytest.mark.parametrize("prompt", ["", "the é"])
def test_bytes_that_are_no_text_give_what_decoding_gives(vocabulary, ids, prompt):
    """Whatever a model writes, all pieces together are the text of all tokens."""
    numbers = random.Random(0)
    given = [vocabulary.begin, *vocabulary.encode([prompt])[0]]
    for _ in range(200):
        new = numbers.choices(ids, k=12)
        stream = TextStream(vocabulary.decode, given, vocabulary.runs)
        pieces = [*map(stream.add, new), stream.finish()]
        assert "".join(pieces) == text_after(vocabulary.decode, given, new)


def test_a_decoder_that_drops_the_first_space():
    """As those of Llama's kind do; in the middle of a text the space stays."""

    def decode(ids):
        return "".join(["", " to", " be"][k] for k in ids).removeprefix(" ")

    assert text_after(decode, [1], [2, 1]) == " be to"
    assert text_after(decode, [], [2, 1]) == "be to"
    stream = TextStream(decode, [1])
    assert [stream.add(2), stream.add(1), stream.finish()] == [" be", " to", ""]
