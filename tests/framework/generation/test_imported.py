"""Texts of an imported model against those that transformers writes with it."""

import json

import pytest
import torch

from framework import Sampling, TextModel, generate
from framework.exchange.conversion import import_directory
from framework.exchange.tokenizer import describe_tokenizer
from framework.pretrained.tiny import write


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
