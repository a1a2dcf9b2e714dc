"""What cannot be read is said in one sentence."""

import sys

import pytest

from framework.pretrained import LowRank, PretrainedDecoder, PretrainedTokenizer


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Nothing is asked for on the hub, whatever the network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("path", ["/no/such/model", "./model", "a/b/c"])
def test_no_such_directory(path):
    with pytest.raises(
        ValueError, match=f"^PretrainedDecoder: there is no directory path='{path}'"
    ):
        PretrainedDecoder(path)


@pytest.mark.parametrize("part", [PretrainedDecoder, PretrainedTokenizer])
def test_a_directory_without_a_model(part, tmp_path):
    with pytest.raises(ValueError, match=rf"^{part.__name__}: path='{tmp_path}' cannot be read"):
        part(str(tmp_path))


def test_a_hub_that_cannot_be_reached():
    with pytest.raises(
        ValueError, match=r"from the Hugging Face hub; give a directory that"
    ) as said:
        PretrainedDecoder("somebody/some-model")
    assert "\n" not in str(said.value)


def test_an_encoder_with_a_decoder(tmp_path):
    import transformers

    transformers.T5Config(d_model=8).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"is an encoder with a decoder \(t5\); give a causal"):
        PretrainedDecoder(str(tmp_path))


def test_missing_packages(monkeypatch, tiny):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"peft; run `pip install 'overtone\[lora\]'`\."):
        PretrainedDecoder(tiny, tuning=LowRank)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"transformers; run `pip install 'overtone\[hf\]'`\."):
        PretrainedDecoder(tiny)
