"""Models of the library transformers say the same when they are imported, and are given back."""

import json

import pytest
import torch

from framework.exchange.conversion import FORMATS, import_directory
from framework.exchange.exporting import export
from framework.exchange.files import read
from tests.framework.exchange.published import (
    assert_same_files,
    logits,
    module_of,
    random,
    refusal,
    saved,
)

transformers = pytest.importorskip("transformers")
TOKENS = [5, 1, 12, 0, 7, 7, 3, 9, 2]
ENDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2}
COMMON = {"vocab_size": 13, "initializer_range": 0.3, **ENDS}


def made(kind, **options):
    """A model of transformers by its kind, as `AutoModelForCausalLM` makes it."""
    config = getattr(transformers, f"{kind}Config")(**COMMON, **options)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")


def gated(kind, **changes):
    return made(kind, **{**SIZES, **HEADS, "max_position_embeddings": 32, **changes})


def llama(**changes):
    return gated("Llama", **changes)


def gpt2(**changes):
    sizes = {"n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return made("GPT2", **{**sizes, **changes})


def neox(**changes):
    heads = {"num_attention_heads": 2, "max_position_embeddings": 32}
    theirs = {"rope_parameters": rope(partial_rotary_factor=0.5)}
    return made("GPTNeoX", **{**SIZES, **heads, **theirs, **changes})


def rope(kind="default", theta=100.0, **options):
    return {"rope_type": kind, "rope_theta": theta, **options}


LLAMA3 = {
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8,
}
YARN = {"factor": 4.0, "original_max_position_embeddings": 8, "beta_fast": 4.0, "beta_slow": 1.0}
MODELS = {
    "GPT-2": lambda: gpt2(),
    "GPT-2, other options": lambda: gpt2(
        n_inner=20, layer_norm_epsilon=0.1, activation_function="gelu"
    ),
    "GPT-2, untied": lambda: gpt2(tie_word_embeddings=False),
    "Llama": lambda: llama(),
    "Llama, tied": lambda: llama(tie_word_embeddings=True),
    "Llama, wide heads": lambda: llama(head_dim=6, num_key_value_heads=4),
    "Llama, other constants": lambda: llama(rms_norm_eps=0.1, rope_parameters=rope()),
    "Llama 3": lambda: llama(rope_parameters=rope("llama3", **LLAMA3)),
    "Llama, linear": lambda: llama(rope_parameters=rope("linear", factor=2.0)),
    "Llama, biases": lambda: llama(attention_bias=True, mlp_bias=True),
    "Mistral": lambda: gated("Mistral", sliding_window=None, head_dim=4),
    "Mistral, window": lambda: gated("Mistral", sliding_window=4, tie_word_embeddings=True),
    "Qwen2": lambda: gated("Qwen2", tie_word_embeddings=True),
    "Qwen2, windows": lambda: gated(
        "Qwen2", use_sliding_window=True, sliding_window=3, max_window_layers=1
    ),
    "Qwen3": lambda: gated("Qwen3", head_dim=6),
    "Qwen3, tied": lambda: gated(
        "Qwen3", head_dim=6, attention_bias=True, tie_word_embeddings=True
    ),
    "OLMo": lambda: gated("Olmo"),
    "OLMo, tied": lambda: gated("Olmo", attention_bias=True, tie_word_embeddings=True),
    "OLMo, clipped": lambda: gated("Olmo", clip_qkv=0.5),
    "OLMo 2": lambda: gated("Olmo2"),
    "OLMo 2, tied": lambda: gated("Olmo2", rope_parameters=rope(), tie_word_embeddings=True),
    "OLMo 3": lambda: gated("Olmo3", sliding_window=4, num_hidden_layers=5),
    "OLMo 3, long": lambda: gated(
        "Olmo3",
        sliding_window=4,
        num_hidden_layers=4,
        tie_word_embeddings=True,
        rope_parameters={"sliding_attention": rope(), "full_attention": rope("yarn", **YARN)},
    ),
    "Pythia": lambda: neox(),
    "GPT-NeoX, other options": lambda: neox(
        rope_parameters=rope(partial_rotary_factor=1.0),
        use_parallel_residual=False,
        attention_bias=False,
        tie_word_embeddings=True,
        hidden_act="gelu_new",
    ),
    "Gemma": lambda: gated("Gemma", head_dim=6),
    "Gemma, untied": lambda: gated("Gemma", head_dim=6, tie_word_embeddings=False),
    "Gemma 2": lambda: gated("Gemma2", attn_logit_softcapping=2.0, final_logit_softcapping=3.0),
    "Gemma 2, no caps": lambda: gated(
        "Gemma2",
        head_dim=6,
        sliding_window=4,
        query_pre_attn_scalar=9,
        attn_logit_softcapping=None,
        final_logit_softcapping=None,
    ),
    "Gemma 3": lambda: gated(
        "Gemma3Text", head_dim=6, sliding_window=4, query_pre_attn_scalar=9, num_hidden_layers=7
    ),
    "Gemma 3, untied": lambda: gated(
        "Gemma3Text", head_dim=6, layer_types=["full_attention"] * 2, tie_word_embeddings=False
    ),
}


def answers(model):
    """What a model of transformers says to the tokens."""
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0].float()


def says(found):
    """What an imported model says to the tokens."""
    return logits(module_of(found), TOKENS)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=[pytest.mark.slow] if "," in name else [])
        for name, make in MODELS.items()
    ],
)
def test_a_model_says_the_same_here_and_is_given_back(make, tmp_path):
    model = random(make)
    model.save_pretrained(tmp_path / "model")
    path = saved(tmp_path / "model", tmp_path / "one.ckpt")
    expected = answers(model)
    found = says(import_directory(tmp_path / "model"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    export(path).write(tmp_path / "same")
    assert_same_files(tmp_path / "model", tmp_path / "same")
    held = torch.load(path, weights_only=True)
    form = FORMATS[held.pop("published")["format"]]
    torch.save(held, path)  # as if it was not imported: from the hyper-parameters alone
    export(path, form).write(tmp_path / "made")
    theirs, ours = read(tmp_path / "model").tensors, read(tmp_path / "made").tensors
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())
    load = transformers.AutoModelForCausalLM.from_pretrained
    again = load(tmp_path / "made", attn_implementation="eager").eval()
    torch.testing.assert_close(answers(again), expected, rtol=0, atol=1e-6)
    assert (
        import_directory(tmp_path / "made").checkpoint["hyper_parameters"]
        == (held["hyper_parameters"])
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.slow
def test_shards_in_half_precision_are_given_back(dtype, tmp_path):
    model = random(llama).to(dtype)
    model.save_pretrained(tmp_path / "model", max_shard_size="2KB")
    assert len([*(tmp_path / "model").glob("*.safetensors")]) > 1
    path = saved(tmp_path / "model", tmp_path / "one.ckpt")
    load = transformers.AutoModelForCausalLM.from_pretrained
    expected = answers(load(tmp_path / "model", dtype=torch.float32).eval())
    found = says(import_directory(tmp_path / "model"))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    export(path).write(tmp_path / "same")
    assert_same_files(tmp_path / "model", tmp_path / "same")


def test_old_files_hold_masks_and_read_outs_besides(tmp_path):
    model = random(MODELS["GPT-2"])
    folder = tmp_path / "model"
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    mask = torch.ones(1, 1, 12, 12).tril().bool()
    state = {**model.state_dict(), **{f"transformer.h.{i}.attn.bias": mask for i in range(2)}}
    torch.save(state, folder / "pytorch_model.bin")
    assert "lm_head.weight" in state
    path = saved(folder, tmp_path / "model.ckpt")
    found = says(import_directory(folder))
    torch.testing.assert_close(found, answers(model), rtol=0, atol=1e-5)
    export(path).write(tmp_path / "same")
    again = read(tmp_path / "same").tensors
    assert list(again) == list(state)
    assert all(again[name].equal(tensor) for name, tensor in state.items())
    state["lm_head.weight"] = state["lm_head.weight"] + 1
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"lm_head\.weight differs from transformer\.wte\.weight"):
        import_directory(folder)


def test_a_model_saved_without_its_read_out(tmp_path):
    model = random(MODELS["GPT-2"])
    model.transformer.save_pretrained(tmp_path / "model")
    path = saved(tmp_path / "model", tmp_path / "model.ckpt")
    found = says(import_directory(tmp_path / "model"))
    torch.testing.assert_close(found, answers(model), rtol=0, atol=1e-5)
    export(path).write(tmp_path / "same")
    assert_same_files(tmp_path / "model", tmp_path / "same")


OLDER = {  # what a configuration said before transformers 5, in place of rope_parameters
    "Llama 3": ({"rope_theta": 100.0, "rope_scaling": {"rope_type": "llama3", **LLAMA3}}, ()),
    "Llama, linear": (
        {"rope_theta": 100.0, "rope_scaling": {"type": "linear", "factor": 2.0}},
        (),
    ),
    "Pythia": ({"rotary_emb_base": 100.0, "rotary_pct": 0.5}, ()),
    "OLMo 3": ({"rope_theta": 500000.0, "rope_scaling": None}, ("layer_types",)),
    "OLMo 3, long": ({"rope_theta": 100.0, "rope_scaling": {"rope_type": "yarn", **YARN}}, ()),
    "Gemma": ({"rope_theta": 10000.0, "hidden_act": "gelu", "hidden_activation": None}, ()),
    "Gemma 3": (
        {"rope_theta": 1e6, "rope_local_base_freq": 1e4, "sliding_window_pattern": 6},
        ("layer_types", "_sliding_window_pattern"),
    ),
    "Qwen2, windows": ({"rope_theta": 10000.0}, ("layer_types",)),
}


@pytest.mark.parametrize(("name", "changes", "dropped"), [(k, *v) for k, v in OLDER.items()])
def test_older_configurations_mean_the_same(name, changes, dropped, tmp_path):
    MODELS[name]().save_pretrained(tmp_path)
    expected = import_directory(tmp_path).checkpoint["hyper_parameters"]
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    for key in ("rope_parameters", *dropped):
        del config[key]
    path.write_text(json.dumps({**config, **changes}))
    assert import_directory(tmp_path).checkpoint["hyper_parameters"] == expected


PARTIAL = "partial_rotary_factor: 0.5, which transformers does not apply"
WHOLE = ("Llama", "Mistral", "Qwen2", "Qwen3", "OLMo", "OLMo 2", "OLMo 3", "Gemma", "Gemma 3")
REFUSED = [
    (llama, "rope_scaling", {"rope_type": "longrope", "factor": 2.0}, "rope_type: longrope"),
    (llama, "rope_scaling", {"type": "dynamic", "factor": 2.0}, "type: dynamic"),
    (llama, "rope_parameters", {"rope_type": "llama3", "factor": 8.0}, "without low_freq_factor"),
    (llama, "rope_parameters", {"rope_type": "default", "twist": 8.0}, "twist: 8.0 for rope_type"),
    *((MODELS[x], "rope_parameters", rope(partial_rotary_factor=0.5), PARTIAL) for x in WHOLE),
    (llama, "attention_bias", True, r"k_proj\.bias is missing"),
    (llama, "mlp_bias", True, r"down_proj\.bias is missing"),
    (llama, "hidden_act", "gelu", "hidden_act: gelu"),
    (llama, "sliding_window", 8, "sliding_window: 8"),
    (llama, "num_hidden_layers", 0, "num_hidden_layers: 0; a whole number"),
    (llama, "model_type", "bloom", "model_type: bloom, which is no format"),
    (llama, "quantization_config", {"bits": 4}, "quantization_config: .* is unknown for Llama"),
    (llama, "logit_scale", None, "logit_scale: null, which is unknown for Llama"),
    (MODELS["OLMo"], "clip_qkv", -8.0, "clip_qkv: -8.0; a positive number"),
    (MODELS["OLMo 3"], "layer_types", ["full_attention"], "layer_types: .* of 5 blocks"),
    (MODELS["Gemma 3"], "final_logit_softcapping", "big", "softcapping: big; a positive"),
    (MODELS["Pythia"], "hidden_act", "mish", "hidden_act: mish"),
    (gpt2, "activation_function", "relu", "activation_function: relu"),
    (gpt2, "scale_attn_by_inverse_layer_idx", True, "inverse_layer_idx: true"),
    (gpt2, "scale_attn_weights", False, "scale_attn_weights: false"),
]


@pytest.mark.parametrize(("make", "key", "value", "said"), REFUSED)
def test_refuses_in_a_sentence_what_a_decoder_cannot_be(make, key, value, said, tmp_path):
    make().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    if key == "rope_scaling":
        del config["rope_parameters"]
    path.write_text(json.dumps({**config, key: value}))
    with pytest.raises(ValueError, match=said) as told:
        import_directory(tmp_path)
    assert str(tmp_path) in str(told.value)
    assert "\n" not in str(told.value)


def part(name, **options):
    return {"class_path": f"components.{name}", "init_args": options}


OTHERS = [
    ("backbone", {"block": "components.PostNormBlock"}, "block PostNormBlock, .* only PreNorm"),
    ("backbone", {"window": 4}, "Decoder with window=4"),
    ("backbone", {"qk_norm": part("RMSNorm")}, "Decoder with qk_norm=RMSNorm"),
    ("backbone", {"bias": "qkv"}, "backbone.bias=qkv, which .* only False or True"),
    ("backbone", {"norm": part("RMSNorm", offset=1.0)}, "RMSNorm with offset=1.0"),
    ("backbone", {"positions": "components.NoPositions"}, "positions NoPositions"),
    ("backbone", {"attention": part("ScaledDotProduct", scale=1.0)}, "with scale=1.0"),
    ("head", {"bias": True}, "LinearHead with bias=True"),
    ("stem", {"scale": 2.0}, "TokenStem with scale=2.0"),
]


@pytest.mark.parametrize(("where", "changes", "said"), OTHERS, ids=[x for _, _, x in OTHERS])
def test_refuses_in_a_sentence_what_llama_cannot_be(where, changes, said, tmp_path):
    random(llama).save_pretrained(tmp_path / "model")
    held = import_directory(tmp_path / "model").checkpoint
    options = held["hyper_parameters"][where]
    options["init_args"] = {**options.get("init_args", {}), **changes}
    torch.save(held, tmp_path / "other.ckpt")
    sentence = refusal(lambda: export(tmp_path / "other.ckpt", FORMATS["llama"]))
    with pytest.raises(ValueError, match=said):
        raise ValueError(sentence)
