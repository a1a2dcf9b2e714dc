"""What was imported is exported as it was: names, order, types and bytes."""

import json

import pytest
import torch
import yaml

from framework.exchange.conversion import import_directory
from framework.exchange.exporting import export
from framework.exchange.files import read
from framework.exchange.olmo import HF_OLMO, OLMO
from framework.modules.language import LanguageModel
from tests.framework.exchange.published import (
    config_of,
    drawn,
    logits,
    write_hf,
    write_native,
)

MODELS = {
    "plain": {},
    "FANformer": {"p": 0.25},
    "half": {"p": 0.5},
    "ATL": {"p": 0.0},
    "own values": {"p": 0.25, "own": True},
    "grouped own values": {"p": 0.25, "own": True, "kv_heads": 1},
    "grouped": {"p": 0.25, "kv_heads": 1},
    "untied": {"p": 0.25, "tied": False},
}


@pytest.fixture(params=MODELS.values(), ids=MODELS)
def options(request):
    return request.param


def checkpoint(folder, path):
    """Imports a directory into a file that is returned."""
    torch.save(import_directory(folder).checkpoint, path)
    return path


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].is_contiguous()
        bits = (found[name].view(torch.uint8), tensor.view(torch.uint8))
        assert torch.equal(*bits), name


@pytest.mark.parametrize(
    ("file", "dtype"), [("model.pt", torch.bfloat16), ("model.safetensors", torch.float32)]
)
def test_native_files_come_back_byte_for_byte(options, file, dtype, tmp_path):
    tensors = drawn(dtype, **options)
    first = write_native(tmp_path / "first", config_of(**options), tensors, file)
    export(checkpoint(first, tmp_path / "one.ckpt")).write(tmp_path / "second")
    for name in (file, "config.yaml"):
        assert (tmp_path / "second" / name).read_bytes() == (first / name).read_bytes()
    if file == "model.pt":
        assert_equal(torch.load(tmp_path / "second" / file, weights_only=True), tensors)
    again = import_directory(tmp_path / "second").checkpoint
    once = torch.load(tmp_path / "one.ckpt", weights_only=True)
    assert_equal(again.pop("state_dict"), once.pop("state_dict"))
    assert again == once


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.safetensors"])
def test_files_for_hugging_face_come_back_byte_for_byte(file, tmp_path):
    first = write_hf(tmp_path / "first", config_of(p=0.25), drawn(torch.bfloat16, p=0.25), file)
    export(checkpoint(first, tmp_path / "one.ckpt")).write(tmp_path / "second")
    for name in (file, "config.json"):
        assert (tmp_path / "second" / name).read_bytes() == (first / name).read_bytes()


def test_shards_come_back_as_they_were(tmp_path):
    tensors = {f"model.{name}": x for name, x in drawn(torch.float16, p=0.25).items()}
    folder, names = tmp_path / "first", list(tensors)
    files = {"a.bin": names[::2], "b.bin": names[1::2]}
    folder.mkdir()
    for file, held in files.items():
        torch.save({name: tensors[name] for name in held}, folder / file)
    listed = {name: file for file, held in files.items() for name in held}
    (folder / "config.json").write_text(json.dumps({"model_type": "olmo", **config_of(p=0.25)}))
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": listed}))
    export(checkpoint(folder, tmp_path / "one.ckpt")).write(tmp_path / "second")
    for path in folder.iterdir():
        assert (tmp_path / "second" / path.name).read_bytes() == path.read_bytes()


def test_types_may_differ_from_tensor_to_tensor(tmp_path):
    tensors = drawn(torch.bfloat16, p=0.25)
    tensors["transformer.ln_f.weight"] = tensors["transformer.ln_f.weight"].double() / 3
    first = write_native(tmp_path / "first", config_of(p=0.25), tensors)
    found = export(checkpoint(first, tmp_path / "one.ckpt")).tensors
    assert_equal(found, tensors)
    assert import_directory(first).dtypes == ("bfloat16", "float64")


def test_an_order_of_ones_own_is_kept(tmp_path):
    tensors = dict(reversed(drawn(p=0.25).items()))
    first = write_native(tmp_path / "first", config_of(p=0.25), tensors)
    assert_equal(export(checkpoint(first, tmp_path / "one.ckpt")).tensors, tensors)


@pytest.mark.parametrize("form", [OLMO, HF_OLMO], ids=["olmo", "hf_olmo"])
def test_one_format_becomes_the_other_and_back(form, options, tmp_path):
    tensors, config = drawn(torch.bfloat16, **options), config_of(**options)
    write, other = (write_native, HF_OLMO) if form is OLMO else (write_hf, OLMO)
    first = write(tmp_path / "first", config, tensors)
    export(checkpoint(first, tmp_path / "one.ckpt"), other).write(tmp_path / "second")
    second = read(tmp_path / "second")
    assert set(second.files) == {other.weights}
    assert all(name.startswith(other.prefix) for name in second.tensors)
    export(checkpoint(tmp_path / "second", tmp_path / "two.ckpt"), form).write(tmp_path / "third")
    third = read(tmp_path / "third")
    assert_equal(third.tensors, read(first).tensors)
    text = third.texts[form.config]
    read_again = yaml.safe_load(text)["model"] if form is OLMO else json.loads(text)
    assert config.items() <= read_again.items()


def test_a_checkpoint_that_was_not_imported_is_exported_too(options, tmp_path):
    """Without what it came from, names and sizes follow from the hyper-parameters alone."""
    tensors, config = drawn(**options), config_of(**options)
    held = import_directory(write_native(tmp_path / "first", config, tensors)).checkpoint
    del held["published"]
    torch.save(held, tmp_path / "one.ckpt")
    published = export(tmp_path / "one.ckpt")
    assert_equal(published.tensors, tensors)  # in the order of OLMo's code
    published.write(tmp_path / "second")
    again = import_directory(tmp_path / "second").checkpoint
    assert again["hyper_parameters"] == held["hyper_parameters"]
    assert_equal(again["state_dict"], held["state_dict"])
    config.pop("alibi"), config.pop("clip_qkv")
    written = yaml.safe_load(published.texts["config.yaml"])["model"]
    assert {**config, "n_kv_heads": config["n_kv_heads"] % 2 or None}.items() <= written.items()


@pytest.mark.slow
def test_rows_beyond_the_vocabulary_are_kept(tmp_path):
    """Published embeddings are padded to a round number, whose tokens never occur."""
    config = config_of(p=0.25, embedding_size=16)
    first = write_native(tmp_path / "first", config, drawn(p=0.25, size=16))
    found = LanguageModel.load_from_checkpoint(checkpoint(first, tmp_path / "one.ckpt"))
    assert found.spec.support.size == 16
    assert logits(found, [1, 2, 3]).shape == (3, 16)
