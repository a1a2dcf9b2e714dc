"""Texts of an imported model against those that transformers writes with it."""

import json

import pytest
import torch

from framework import Sampling, TextModel, generate
from framework.exchange.conversion import import_directory
from framework.exchange.tokenizer import describe_tokenizer
from framework.pretrained.tiny import write
from tests.framework.exchange import spoken


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("tiny"), dim=16, depth=1, heads=2)


def test_texts_are_those_of_transformers(folder, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.save(import_directory(folder).checkpoint, tmp_path / "tiny.ckpt")
    prompts = ["é the", "", "a longer prompt 🙂"]
    found = generate(tmp_path / "tiny.ckpt", prompts, Sampling(length=8, temperature=0.0))
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text in found:
        ids = [
            tokenizer.bos_token_id,
            *tokenizer(text.prompt, add_special_tokens=False)["input_ids"],
        ]
        made = theirs.generate(torch.tensor([ids]), max_new_tokens=8, do_sample=False)
        assert text.text == tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)
    assert TextModel(tmp_path / "tiny.ckpt").vocabulary.end == tokenizer.bos_token_id


def test_a_tokenizer_beside_a_model(folder, tmp_path):
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    assert describe_tokenizer(tmp_path, 257) is None
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    assert describe_tokenizer(tmp_path, 257)["end"] == "<|endoftext|>"
    for token in ("a", {"content": "a", "special": True}):
        config = json.dumps({"bos_token": None, "eos_token": token})
        (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
        assert describe_tokenizer(tmp_path, 257)["end"] == "a"
    with pytest.raises(ValueError, match=r"tokenizer.json has 257 tokens, more than the 200 of"):
        describe_tokenizer(tmp_path, 200)


@pytest.mark.parametrize("kind", spoken.KINDS)
def test_texts_stop_where_those_of_transformers_do(kind, tmp_path):
    """At any of several tokens: here that which comes sixth, besides the one of the tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, prompt = spoken.write(tmp_path / "model", kind), "🙂 the sky"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    read = tokenizer(prompt, return_tensors="pt")
    options = {"max_new_tokens": 12, "do_sample": False}
    free = AutoModelForCausalLM.from_pretrained(folder).generate(**read, **options)
    given = read["input_ids"].shape[1]
    spoken.state(folder, "generation_config.json", eos_token_id=[2, int(free[0, given + 5])])
    found = AutoModelForCausalLM.from_pretrained(folder).generate(**read, **options)[0].tolist()
    new = found[given:-1]
    assert len(new) == free[0, given:].tolist().index(found[-1])
    torch.save(import_directory(folder).checkpoint, tmp_path / "model.ckpt")
    [text] = generate(tmp_path / "model.ckpt", prompt, Sampling(length=12, temperature=0.0))
    assert text.tokens == len(new)
    model = TextModel(tmp_path / "model.ckpt")
    assert model.encode([prompt]) == read["input_ids"].tolist()
    assert model.vocabulary.begin == 1
    assert "".join(model.stream(prompt, Sampling(length=12, temperature=0.0))) == text.text
    expected = tokenizer.decode(found[:-1], skip_special_tokens=True)
    assert prompt + text.text == expected
