"""What the tables of several families share: sizes, parts and names of modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components import (
    Decoder,
    LinearHead,
    RMSNorm,
    SwiGLU,
    TokenStem,
)
from framework.exchange.families.entries import (
    Choice,
    Derived,
    Dropout,
    Entry,
    Flag,
    Number,
    Options,
    Size,
)
from framework.exchange.families.names import Modules, Names

HIDDEN = "backbone.feedforward.hidden"
TEXT = {"stem": TokenStem, "backbone": Decoder, "head": LinearHead, "head.bias": False}
GATED = {**TEXT, "backbone.feedforward": SwiGLU, "backbone.norm": RMSNorm}
PLAIN = {**GATED, "backbone.feedforward.bias": False}  # of networks without biases


def heads(known: Options) -> int:
    """Returns the number of query heads."""
    return int(known["backbone.heads"])


def width(known: Options) -> int:
    """Returns the width of a head where heads divide that of the model."""
    return max(1, int(known["backbone.dim"]) // heads(known))


SIZES: tuple[Entry, ...] = (
    Size("vocab_size", "size"),
    Size("hidden_size", "backbone.dim"),
    Size("num_hidden_layers", "backbone.depth"),
    Size("num_attention_heads", "backbone.heads"),
    Size("intermediate_size", HIDDEN),
    Size("max_position_embeddings", "length", 2048),
)
GROUPS = Size("num_key_value_heads", "backbone.kv_heads", heads)
WIDTH = Size("head_dim", "backbone.head_dim", width)
WHOLE = (  # heads that divide the width, for formats that have no key for theirs
    Derived("backbone.head_dim", width),
)
UNTIED, TIED = (Flag("tie_word_embeddings", "tied", default) for default in (False, True))
DROPOUT = Dropout("attention_dropout", "backbone.dropout")
BIAS = Choice("attention_bias", "backbone.bias", False, ((False, False), (True, True)))


def norm(eps: float) -> Number:
    """Returns the entry of the epsilon of RMSNorm."""
    return Number("rms_norm_eps", "backbone.norm.eps", eps)


def _modules(norms: Mapping[Modules, Modules]) -> dict[Modules, Modules]:
    """Returns the modules of a block that are named as those of Llama."""
    return {
        "self_attn.q_proj": "attention.query",
        ("self_attn.k_proj", "self_attn.v_proj"): "attention.key_value",
        "self_attn.o_proj": "attention.out",
        "self_attn.q_norm": "attention.query_norm",
        "self_attn.k_norm": "attention.key_norm",
        ("mlp.up_proj", "mlp.gate_proj"): "feedforward.up_gate",
        "mlp.down_proj": "feedforward.down",
        **norms,
    }


PRE: dict[Modules, Modules] = {
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "feedforward_norm",
}
POST: dict[Modules, Modules] = {
    "post_attention_layernorm": "attention_norm",
    "post_feedforward_layernorm": "feedforward_norm",
}
SANDWICH: dict[Modules, Modules] = {
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "attention_out_norm",
    "pre_feedforward_layernorm": "feedforward_norm",
    "post_feedforward_layernorm": "feedforward_out_norm",
}


def llama_like(norms: Mapping[Modules, Modules]) -> Names:
    """Returns the names of a model that is built as Llama, but for its norms."""
    whole = {"embed_tokens": "stem.embedding", "norm": "backbone.norm"}
    return Names("model.", whole, "layers.{}.", _modules(norms))


SILU: dict[str, Any] = {"hidden_act": "silu"}
QK_EPS = Derived("backbone.qk_norm.eps", lambda known: known["backbone.norm.eps"])
