"""What cannot be imported is said in one sentence that names it."""

import json
import pickle
import re
from functools import partial

import pytest
import torch

from framework.exchange.conversion import import_directory
from tests.framework.exchange.published import config_of, drawn, refusal, write_hf, write_native

FAN = "transformer.blocks.0.att_proj.fanlayer.input_linear.weight"


def refused(folder):
    return refusal(partial(import_directory, folder))


CONFIGURATIONS = [
    ({"alibi": True}, "alibi: true"),
    ({"twist": None}, "twist: null, which is unknown for OLMo"),
    ({"rope": False}, "rope: false"),
    ({"clip_qkv": 8.0}, "clip_qkv: 8.0"),
    ({"attention_layer_norm": True}, "attention_layer_norm: true"),
    ({"embedding_layer_norm": True}, "embedding_layer_norm: true"),
    ({"include_bias": True}, "include_bias: true"),
    ({"bias_for_layer_norm": True}, "bias_for_layer_norm: true"),
    ({"layer_norm_type": "default"}, "layer_norm_type: default"),
    ({"layer_norm_type": None}, "layer_norm_type: default"),
    ({"layer_norm_with_affine": False}, "layer_norm_with_affine: false"),
    ({"norm_after": True}, "norm_after: true"),
    ({"scale_logits": True}, "scale_logits: true"),
    ({"block_group_size": 2}, "block_group_size: 2"),
    ({"block_type": "llama"}, "block_type: llama"),
    ({"block_type": "fanformer"}, "block_type: fanformer, but the tensors lack"),
    ({"activation_type": "gelu"}, "activation_type: gelu"),
    ({"attention_activation": "relu"}, "attention_activation: relu"),
    ({"use_ATF": False}, "use_ATF: false, but the tensors have"),
    ({"p_ratio": 0.125}, r"p_ratio: 0.125, which gives 1 phases, .* is p = 0.25 \(2 phases\)"),
    ({"p_ratio": 0.7}, "p_ratio: 0.7; p lies between 0 and 0.5"),
    ({"n_heads": 3}, "d_model: 8, which n_heads: 3 does not divide"),
    ({"n_heads": None}, "n_heads: null; a whole number"),
    ({"n_kv_heads": 3}, "n_heads: 2, which n_kv_heads: 3 does not divide"),
    ({"n_kv_heads": 2, "multi_query_attention": True}, "contradict each other"),
    ({"rope_theta": 0}, "rope_theta: 0; a positive number"),
    ({"layer_norm_eps": "small"}, "layer_norm_eps: small; a positive number"),
    ({"weight_tying": "yes"}, "weight_tying: yes; true or false"),
    ({"vocab_size": 12, "embedding_size": 11}, "vocab_size: 12, but its embedding has 11 rows"),
    ({"n_layers": 3}, r"tensor transformer.blocks.2.* is missing \(and 7 more"),
    ({"n_layers": 1}, r"has a tensor transformer.blocks.1.*, which is unknown \(and 7 more"),
    ({"mlp_hidden_size": 32}, r"ff_out.weight has shape \[8, 12\], not \[8, 16\]"),
    ({"mlp_hidden_size": 23}, "mlp_hidden_size: 23, which has no half"),
    ({"weight_tying": False}, r"tensor transformer.ff_out.weight is missing"),
]


@pytest.mark.parametrize(("changes", "said"), CONFIGURATIONS, ids=str)
def test_configurations(changes, said, tmp_path):
    config = {**config_of(p=0.25), **changes}
    assert re.search(said, refused(write_native(tmp_path / "model", config, drawn(p=0.25))))


def test_a_configuration_of_a_fanformer_beside_plain_tensors(tmp_path):
    said = refused(write_native(tmp_path, config_of(p=0.25), drawn()))
    assert "use_ATF: true, but the tensors lack a FAN layer" in said


def test_p_comes_from_the_tensors_where_the_configuration_does_not_say(tmp_path):
    config = config_of(p=0.25)
    del config["p_ratio"], config["use_ATF"]
    assert import_directory(write_native(tmp_path / "a", config, drawn(p=0.25))).plan.p == 0.25
    assert import_directory(write_native(tmp_path / "b", config, drawn(p=0.125))).plan.p == 0.125
    plain = import_directory(write_native(tmp_path / "c", config, drawn()))
    assert (plain.plan.p, plain.plan.backbone.keywords["projection"]) == (None, None)


def test_yaml_takes_a_number_without_a_point_for_text(tmp_path):
    folder = write_native(tmp_path, config_of(), drawn())
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("1.0e-06", "1e-3"))
    norm = import_directory(folder).plan.backbone.keywords["norm"]
    assert norm.keywords == {"eps": 0.001}


def test_a_matrix_that_is_no_fan_layer(tmp_path):
    tensors = {**drawn(p=0.25), FAN: torch.zeros(3, 8)}
    config = {**config_of(p=0.25), "p_ratio": None}
    assert f"{FAN} has 3 rows for 8 features" in refused(write_native(tmp_path, config, tensors))


def test_tensors(tmp_path):
    config, tensors = config_of(p=0.25), drawn(p=0.25)
    renamed = {name.replace("ln_f", "ln_g"): x for name, x in tensors.items()}
    said = refused(write_native(tmp_path / "a", config, renamed))
    assert "transformer.ln_g.weight, which is unknown (and 1 more" in said
    lacking = {name: x for name, x in tensors.items() if "ln_f" not in name}
    said = refused(write_native(tmp_path / "b", config, lacking))
    assert "the tensor transformer.ln_f.weight is missing;" in said
    whole = {**tensors, "transformer.ln_f.weight": torch.ones(8, dtype=torch.int8)}
    said = refused(write_native(tmp_path / "c", config, whole))
    assert "transformer.ln_f.weight holds torch.int8, not plain floats" in said
    bias = {**tensors, "transformer.blocks.0.attn_out.bias": torch.zeros(8)}
    said = refused(write_native(tmp_path / "d", config, bias))
    assert "transformer.blocks.0.attn_out.bias, which is unknown" in said


def test_directories(tmp_path):
    assert "There is no directory" in refused(tmp_path / "nowhere")
    assert "holds no published model" in refused(tmp_path)
    torch.save(drawn(), tmp_path / "model.pt")
    assert "holds model.pt, but no config.yaml beside it" in refused(tmp_path)
    for text in ("model: [", "just words", "other: 1"):
        (tmp_path / "config.yaml").write_text(text)
        assert str(tmp_path / "config.yaml") in refused(tmp_path)


def test_files(tmp_path):
    folder = write_native(tmp_path / "a", config_of(), drawn())
    whole = (folder / "model.pt").read_bytes()
    for content in (b"", b"no tensors at all", whole[:1000], whole[: len(whole) - 100]):
        (folder / "model.pt").write_bytes(content)
        assert "model.pt is damaged" in refused(folder)
    for held in ([1, 2], {"step": 3}):
        torch.save(held, folder / "model.pt")
        assert "model.pt does not hold tensors by name" in refused(folder)
    folder = write_hf(tmp_path / "b", config_of(), drawn(), "model.safetensors")
    file = folder / "model.safetensors"
    for content in (b"", b"{}", file.read_bytes()[:200]):
        file.write_bytes(content)
        assert "model.safetensors is damaged" in refused(folder)


class Trap:
    """Would be called if a file were unpickled without care."""

    def __reduce__(self):
        return (pytest.fail, ("a file ran code",))


def test_code_in_a_file_never_runs(tmp_path):
    folder = write_native(tmp_path, config_of(), drawn())
    torch.save({"a": Trap()}, folder / "model.pt")
    assert "holds objects that are no tensors, which are never loaded" in refused(folder)
    (folder / "model.pt").write_bytes(pickle.dumps({"a": Trap()}, protocol=2))
    assert "holds objects that are no tensors, which are never loaded" in refused(folder)


def test_an_index_that_names_no_file(tmp_path):
    folder = write_hf(tmp_path, config_of(), drawn(), "part.bin")
    index = folder / "pytorch_model.bin.index.json"
    for name in ("other.bin", "../part.bin"):
        index.write_text(json.dumps({"weight_map": {"x": name}}))
        assert f"names the file '{name}', which is not beside it" in refused(folder)
    index.write_text("{}")
    assert "lists no files under weight_map" in refused(folder)
