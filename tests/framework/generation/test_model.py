"""Texts of a trained checkpoint: one by one, together, in pieces; and what cannot write."""

import pytest
import torch

import framework
from components.data import TokenBatch
from framework import ByteTokenizer, FileTokenizer, Sampling, TextModel, generate
from framework.data import BytePairTokenizer
from framework.data.tokens.vocabularies import Numerals
from framework.generation.streaming import text_after
from tests.framework.conftest import OTHER

PROMPTS = ["The license grants", "", "no warranty of any kind", "merge " * 40, "zebra—é"]
GREEDY = Sampling(length=50, temperature=0.0)


@pytest.fixture(scope="module")
def model(written):
    return TextModel(written.checkpoint)


@pytest.mark.parametrize(
    "sampling", [pytest.param(GREEDY, marks=pytest.mark.slow), Sampling(40, 0.9, top_k=50, seed=2)]
)
def test_a_batch_writes_what_each_prompt_gets_alone(model, sampling):
    """The model has learned positions for 32 tokens; texts outgrow them."""
    every = list(model.write(PROMPTS, sampling))
    assert [text.prompt for text in every] == PROMPTS
    for text in every:
        assert [text] == list(model.write([text.prompt], sampling))
        assert "".join(model.stream(text.prompt, sampling)) == text.text
    assert every == list(model.write(PROMPTS, sampling, batch_size=2))


def test_samples_of_a_prompt_differ(model):
    texts = list(model.write(PROMPTS[:2], Sampling(12), samples=3))
    assert [(text.prompt, text.sample) for text in texts] == [
        (prompt, sample) for prompt in PROMPTS[:2] for sample in range(3)
    ]
    assert len({text.text for text in texts}) == 6
    assert texts[:3] == list(model.write(PROMPTS[:1], Sampling(12), samples=3, batch_size=1))


def test_a_prompt_begins_a_document(model):
    """What is read is the end token and the prompt, without any padding."""
    [text] = model.write(PROMPTS[:1], Sampling(1, temperature=0.0))
    read = [model.vocabulary.end, *model.vocabulary.encode(PROMPTS[:1])[0]]
    tokens = torch.tensor([read])
    module = model.checkpoint.module
    with torch.no_grad():
        logits = module(TokenBatch(tokens, tokens, torch.ones(tokens.shape))).logits[0, -1]
    assert text.text == model.vocabulary.decode([int(logits.argmax())])


def test_a_text_ends_with_its_document(model, monkeypatch):
    """Here with the first token that is new after three others."""
    prompts = model.encode(PROMPTS[:2])
    rows = [[], []]
    for row, token in model.tokens(prompts, [0, 0], GREEDY, None):
        rows[row].append(token)
    end = next(token for k, token in enumerate(rows[0]) if k > 2 and token not in rows[0][:k])
    monkeypatch.setattr(type(model), "encode", lambda *_: prompts)
    monkeypatch.setattr(model.vocabulary, "end", end)
    for text, row in zip(model.write(PROMPTS[:2], GREEDY), rows, strict=True):
        before = row[: row.index(end)] if end in row else row
        assert text.tokens == len(before)
        assert text.text == text_after(model.vocabulary.decode, [], before)
    assert rows[0].index(end) > 2


def test_one_text_is_written_by_columns_of_the_matrices(written):
    model = TextModel(written.checkpoint)
    for count, some in ((3, False), (1, True)):
        list(model.write(PROMPTS[:count], Sampling(1)))
        whole = [matrix.is_contiguous() for matrix in model.checkpoint.module.parameters()]
        assert all(whole) != some


def test_python_needs_one_function(written, model):
    texts = generate(written.checkpoint, PROMPTS[0], GREEDY)
    assert texts == list(model.write(PROMPTS[:1], GREEDY))
    assert framework.generate is generate
    with pytest.raises(ValueError, match="samples=0 writes nothing"):
        generate(written.checkpoint, PROMPTS, samples=0)
    with pytest.raises(ValueError, match="batch_size=0 writes nothing"):
        generate(written.checkpoint, PROMPTS, batch_size=0)


def altered(written, folder, **changes):
    """Saves a checkpoint with other entries, None for none."""
    held = framework.generation.model.OpenedCheckpoint(written.checkpoint).contents | changes
    torch.save({name: x for name, x in held.items() if x is not None}, folder / "x.ckpt")
    return folder / "x.ckpt"


def test_tokens_of_unknown_meaning_are_refused_before_the_model_is_read(written, tmp_path):
    bare = altered(written, tmp_path, tokenizer=None, state_dict=None)
    with pytest.raises(ValueError, match=r"x.ckpt' holds no tokenizer, .* --tokenizer FileTok"):
        TextModel(bare)
    numbers = altered(written, tmp_path, tokenizer=Numerals(300).describe(), state_dict=None)
    with pytest.raises(ValueError, match=r"holds token ids without a tokenizer, so that"):
        TextModel(numbers)
    assert TextModel(numbers, ByteTokenizer()).vocabulary.encode([OTHER])
    with pytest.raises(ValueError, match=r"BytePairTokenizer is fitted to a text"):
        TextModel(numbers, BytePairTokenizer(300))
    with pytest.raises(ValueError, match=r"ByteTokenizer: this is not the tokenizer"):
        TextModel(written.checkpoint, ByteTokenizer())


def test_a_tokenizer_can_be_named_where_there_is_none(written, model, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_text(model.vocabulary.describe()["json"], encoding="utf-8")
    bare = altered(written, tmp_path, tokenizer=None)
    named = TextModel(bare, FileTokenizer(str(file)))
    assert list(named.write(PROMPTS, GREEDY)) == list(model.write(PROMPTS, GREEDY))


def test_a_model_of_something_else_is_refused(written, tmp_path):
    from components.data import DensitySpec
    from components.supports import Interval

    spec = DensitySpec(Interval(0.0, 1.0), 2)
    other = altered(written, tmp_path, hyper_parameters={"spec": spec}, state_dict=None)
    with pytest.raises(ValueError, match=r"is of no language model: it predicts Interval"):
        TextModel(other)
    empty = altered(written, tmp_path, hyper_parameters=None, state_dict=None)
    with pytest.raises(ValueError, match=r"is of no language model: it predicts no tokens"):
        TextModel(empty)
