"""Models of the library transformers say the same when they are imported."""

import json

import pytest
import torch

from framework.exchange.conversion import import_directory
from framework.modules.language import LanguageModel
from tests.framework.exchange.published import logits

transformers = pytest.importorskip("transformers")
TOKENS = [5, 1, 12, 0, 7, 7, 3, 9, 2]


def llama(**changes):
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    options = {"vocab_size": 13, "initializer_range": 0.3, **sizes, **heads, **changes}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**options))


def gpt2(**changes):
    sizes = {"n_positions": 12, "n_embd": 16, "n_layer": 2, "n_head": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    options = {"vocab_size": 13, "initializer_range": 0.3, **sizes, **ends, **changes}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**options))


MODELS = {
    "Llama": lambda: llama(),
    "Llama, tied": lambda: llama(tie_word_embeddings=True),
    "Llama, wide heads": lambda: llama(head_dim=6, num_key_value_heads=4),
    "Llama, other constants": lambda: llama(
        rms_norm_eps=0.1,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
    ),
    "GPT-2": lambda: gpt2(),
    "GPT-2, other options": lambda: gpt2(
        n_inner=20, layer_norm_epsilon=0.1, activation_function="gelu"
    ),
    "GPT-2, untied": lambda: gpt2(tie_word_embeddings=False),
}


@pytest.fixture(autouse=True)
def quiet():
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


def random(make):
    """Makes a model no parameter of which is at its initial zero or one."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(3)
        model = make().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def imported(folder, tmp_path):
    torch.save(import_directory(folder).checkpoint, tmp_path / "model.ckpt")
    return LanguageModel.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_logits_are_equal(make, tmp_path):
    model = random(make)
    model.save_pretrained(tmp_path / "model")
    with torch.no_grad():
        expected = model(torch.tensor([TOKENS])).logits[0]
    found = logits(imported(tmp_path / "model", tmp_path), TOKENS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_old_files_hold_masks_and_read_outs_besides(tmp_path):
    model = random(MODELS["GPT-2"])
    model.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").unlink()
    state = {**model.state_dict(), "transformer.h.0.attn.bias": torch.ones(1, 1, 12, 12).bool()}
    torch.save(state, tmp_path / "model" / "pytorch_model.bin")
    assert "lm_head.weight" in state
    with torch.no_grad():
        expected = model(torch.tensor([TOKENS])).logits[0]
    found = logits(imported(tmp_path / "model", tmp_path), TOKENS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    state["lm_head.weight"] = state["lm_head.weight"] + 1
    torch.save(state, tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"lm_head\.weight differs from transformer\.wte\.weight"):
        import_directory(tmp_path / "model")


def test_a_model_saved_without_its_read_out(tmp_path):
    model = random(MODELS["GPT-2"])
    model.transformer.save_pretrained(tmp_path / "model")
    with torch.no_grad():
        expected = model(torch.tensor([TOKENS])).logits[0]
    found = logits(imported(tmp_path / "model", tmp_path), TOKENS)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


REFUSED = [
    (llama, "rope_scaling", {"rope_type": "linear", "factor": 2.0}, "rope_type: linear"),
    (llama, "rope_scaling", {"type": "dynamic", "factor": 2.0}, "type: dynamic"),
    (llama, "rope_parameters", {"rope_type": "llama3", "factor": 8.0}, "rope_type: llama3"),
    (llama, "attention_bias", True, "attention_bias: true"),
    (llama, "mlp_bias", True, "mlp_bias: true"),
    (llama, "hidden_act", "gelu", "hidden_act: gelu"),
    (llama, "sliding_window", 8, "sliding_window: 8"),
    (llama, "num_hidden_layers", 0, "num_hidden_layers: 0; a whole number"),
    (llama, "model_type", "mistral", "model_type: mistral, which is no format"),
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
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
