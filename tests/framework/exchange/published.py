"""Small models in the format of OLMo, filled by the rule of the golden cases or at random."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from components import NegativeLogLikelihood
from components.data import TokenBatch
from framework.exchange.conversion import import_directory

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "components" / "backbones" / "fanformer.json").read_text()
)
CONFIG = {  # of the golden cases; only what OLMo's own defaults would make another model of
    "d_model": 8,
    "n_heads": 2,
    "n_layers": 2,
    "mlp_hidden_size": 24,
    "activation_type": "swiglu",
    "block_type": "sequential",
    "rope": True,
    "alibi": False,
    "clip_qkv": None,
    "layer_norm_type": "rms",
    "layer_norm_eps": 1e-6,
    "max_sequence_length": 16,
    "include_bias": False,
    "bias_for_layer_norm": False,
    "vocab_size": 11,
    "embedding_size": 11,
    "weight_tying": True,
}
SLOTS = {
    "wte.weight": 0,
    "ln_f.weight": 1,
    "attn_norm.weight": 2,
    "att_proj.fanlayer.input_linear.weight": 3,
    "att_proj.fanlayer.input_linear.bias": 4,
    "att_proj.linear.weight": 5,
    "att_proj.weight": 6,
    "v_fan.input_linear.weight": 7,
    "v_fan.input_linear.bias": 8,
    "attn_out.weight": 9,
    "ff_norm.weight": 10,
    "ff_proj.weight": 11,
    "ff_out.weight": 12,
}


def fill(shape, k):
    """The filler u of the golden cases."""
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return ((((i + 1) * 7919 + (k + 1) * 104729) % 1009) / 1009 - 0.5).reshape(shape)


def shapes(p=None, own=False, kv_heads=2, tied=True, dim=8, hidden=12, size=11, depth=2, heads=2):
    """Names and shapes of the tensors, without prefix, in the order of OLMo's code."""
    width, per_block = dim // heads * kv_heads, {}
    per_block["attn_out.weight"] = (dim, dim)
    per_block["ff_out.weight"] = (dim, hidden)
    if p is None:
        per_block["att_proj.weight"] = (dim + 2 * width, dim)
    else:
        rows = dim - int(p * dim)
        per_block["att_proj.fanlayer.input_linear.weight"] = (rows, dim)
        per_block["att_proj.fanlayer.input_linear.bias"] = (rows,)
        per_block["att_proj.linear.weight"] = (dim + (1 if own else 2) * width, dim)
    if own:
        rows = width - int(p * width)
        per_block["v_fan.input_linear.weight"] = (rows, dim)
        per_block["v_fan.input_linear.bias"] = (rows,)
    per_block |= {"ff_proj.weight": (2 * hidden, dim)}
    per_block |= {"attn_norm.weight": (dim,), "ff_norm.weight": (dim,)}
    found = {"wte.weight": (size, dim), "ln_f.weight": (dim,)}
    for index in range(depth):
        found |= {f"blocks.{index}.{name}": shape for name, shape in per_block.items()}
    return found if tied else {**found, "ff_out.weight": (size, dim)}


def golden(case):
    """The configuration and the tensors of a golden case."""
    made, tensors = case["config"], {}
    own = made["block"] == "fanformer"
    p = made["p"] if made["atf"] else None
    for name, shape in shapes(p, own, made["n_kv_heads"]).items():
        _, index, slot = name.split(".", 2) if name.startswith("blocks.") else ("", "0", name)
        k = SLOTS[slot] + 20 * int(index)
        values = (
            1 + 0.4 * fill(shape, k) if "norm" in name or "ln_f" in name else 2 * fill(shape, k)
        )
        tensors[f"transformer.{name}"] = values.float()
    config = {**CONFIG, "use_ATF": made["atf"], "block_type": made["block"]}
    activation = {"identity": None}.get(made.get("activation", "identity"), "gelu")
    return {**config, "attention_activation": activation}, tensors


def drawn(dtype=torch.float32, prefix="transformer.", **options):
    """Random tensors by name."""
    generator = torch.Generator().manual_seed(1)
    return {
        prefix + name: (torch.randn(shape, generator=generator) / 3).to(dtype)
        for name, shape in shapes(**options).items()
    }


def config_of(p=None, own=False, kv_heads=2, tied=True, **changes):
    """The configuration that belongs to `drawn`."""
    made = {**CONFIG, "use_ATF": p is not None, "weight_tying": tied, "n_kv_heads": kv_heads}
    if p is not None:
        made["p_ratio"] = p
    return {**made, "block_type": "fanformer" if own else "sequential", **changes}


def write_native(folder, config, tensors, file="model.pt"):
    """Writes a directory as OLMo's code does."""
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(
        "# a run\n" + yaml.safe_dump({"run_name": "x", "model": config}, sort_keys=False)
    )
    return _tensors(folder, tensors, file)


def write_hf(folder, config, tensors, file="pytorch_model.bin"):
    """Writes a directory as OLMo's wrapper for Hugging Face does; tensors without its prefix."""
    folder.mkdir(exist_ok=True)
    text = json.dumps({"model_type": "hf_olmo", "use_cache": True, **config}, indent=1)
    (folder / "config.json").write_text(text)
    return _tensors(folder, {f"model.{name}": x for name, x in tensors.items()}, file)


def _tensors(folder, tensors, file):
    if file.endswith(".safetensors"):
        save_file(tensors, folder / file, {"format": "pt"})
    else:
        torch.save(tensors, folder / file)
    return folder


def random(make):
    """Makes a model no parameter of which is at its initial zero or one."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(3)
        model = make().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model


def saved(folder, path):
    """Imports a directory into a file that is returned."""
    torch.save(import_directory(folder).checkpoint, path)
    return path


def module_of(imported):
    """An imported model, built as its plan says."""
    plan = imported.plan
    parts = {"stem": plan.stem, "backbone": plan.backbone, "head": plan.head, "tied": plan.tied}
    losses = {"nll": NegativeLogLikelihood}
    options = {"spec": plan.spec, "losses": losses, "optimizer": torch.optim.SGD, **plan.options}
    module = plan.module(**parts, **options)
    module.configure_model()
    module.load_state_dict(imported.checkpoint["state_dict"])
    return module.eval()


def assert_same_files(folder, other):
    for path in folder.iterdir():
        if path.suffix != ".md":
            assert (other / path.name).read_bytes() == path.read_bytes(), path.name


def refusal(act):
    """The one sentence with which something is refused."""
    with pytest.raises(ValueError, match=r"[;,] .*\.$") as told:
        act()
    assert "\n" not in str(told.value)
    return str(told.value)


def logits(module, tokens):
    """What a module says to a row of tokens, `[T, V]`."""
    batch = TokenBatch(torch.tensor([tokens]), torch.tensor([tokens]), torch.ones(1, len(tokens)))
    with torch.no_grad():
        return module.eval()(batch).logits[0]
