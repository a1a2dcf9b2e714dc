"""Llama, as the library transformers saves it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from components import Decoder, RMSNorm, Rotary, SwiGLU
from framework.exchange.configuration import Configuration
from framework.exchange.formats import (
    EMBEDDING,
    READOUT,
    Format,
    ImportPlan,
    Shape,
    TensorMap,
    without_twin,
)

FIXED = {  # no Decoder is otherwise
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
    "partial_rotary_factor": 1.0,
}
THETA, EPS = 10000.0, 1e-6  # where a configuration does not say, as in transformers
LENGTH = 2048
TABLE = "model.embed_tokens.weight"
ANGLES = "rotary_emb.inv_freq"  # ends the name of constants in old files


class Llama(Format):
    """A decoder with rotary positions, SwiGLU and shared keys and values, without biases.

    Source: Touvron et al., "LLaMA" (arXiv:2302.13971), section 2.2; "Llama 2" (arXiv:2307.09288),
        section 2.2.
    """

    name = "llama"
    kinds = ("llama",)

    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> ImportPlan:
        """Plans the import of a model; see `Format.plan`."""
        for key, value in FIXED.items():
            config.require(key, value)
        dim, heads = config.size("hidden_size"), config.size("num_attention_heads")
        kv_heads = config.size("num_key_value_heads", heads)
        width = config.size("head_dim", max(1, dim // heads))
        hidden, size = config.size("intermediate_size"), config.size("vocab_size")
        depth, tied = config.size("num_hidden_layers"), config.flag("tie_word_embeddings", False)
        maps = [TensorMap({TABLE: (size, dim)}, {EMBEDDING: (size, dim)})]
        for index in range(depth):
            maps += _block(index, dim, heads * width, kv_heads * width, hidden)
        maps.append(TensorMap({"model.norm.weight": (dim,)}, {"backbone.norm.weight": (dim,)}))
        if not tied:
            maps.append(TensorMap({"lm_head.weight": (size, dim)}, {READOUT: (size, dim)}))
        backbone = partial(
            Decoder,
            dim=dim,
            depth=depth,
            heads=heads,
            kv_heads=kv_heads,
            head_dim=width,
            bias=False,
            feedforward=partial(SwiGLU, hidden=hidden, bias=False),
            norm=partial(RMSNorm, eps=config.number("rms_norm_eps", EPS)),
            positions=partial(Rotary, theta=_theta(config)),
        )
        length = config.size("max_position_embeddings", LENGTH)
        return ImportPlan("Llama", backbone, size, length, tied, maps)

    def parameters(self, plan: ImportPlan, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leaves out constants, and a read-out that repeats the embedding."""
        kept = {name: x for name, x in tensors.items() if not name.endswith(ANGLES)}
        return without_twin("Llama", kept, "lm_head.weight", TABLE) if plan.tied else kept


def _theta(config: Configuration) -> float:
    """Returns the base of the wavelengths, which must not be scaled."""
    spread = config.values.get("rope_parameters") or config.values.get("rope_scaling") or {}
    stated: dict[str, Any] = spread if isinstance(spread, dict) else {"rope_type": spread}
    inner = Configuration(config.path, {**config.values, **stated})
    inner.require("type", "default")  # the older word
    inner.require("rope_type", "default")
    inner.require("partial_rotary_factor", 1.0)
    return inner.number("rope_theta", THETA)


def _block(index: int, dim: int, queries: int, keys: int, hidden: int) -> list[TensorMap]:
    theirs, ours = f"model.layers.{index}.", f"backbone.blocks.{index}."
    attention, network = ours + "attention.", ours + "feedforward."
    wide: dict[str, Shape] = {
        f"{theirs}self_attn.{name}_proj.weight": (keys, dim) for name in ("k", "v")
    }
    gated: dict[str, Shape] = {
        f"{theirs}mlp.{name}_proj.weight": (hidden, dim) for name in ("up", "gate")
    }
    single = [
        ("self_attn.q_proj.weight", attention + "query.weight", (queries, dim)),
        ("self_attn.o_proj.weight", attention + "out.weight", (dim, queries)),
        ("mlp.down_proj.weight", network + "down.weight", (dim, hidden)),
        ("input_layernorm.weight", ours + "attention_norm.weight", (dim,)),
        ("post_attention_layernorm.weight", ours + "feedforward_norm.weight", (dim,)),
    ]
    return [
        TensorMap(wide, {attention + "key_value.weight": (2 * keys, dim)}),
        TensorMap(gated, {network + "up_gate.weight": (2 * hidden, dim)}),
        *(TensorMap({theirs + name: shape}, {mine: shape}) for name, mine, shape in single),
    ]
