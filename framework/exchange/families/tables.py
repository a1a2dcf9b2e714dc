"""The families, each as data: its keys, its fixed values and the names of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components import (
    Decoder,
    FeedForward,
    LayerNorm,
    Learned,
    LinearHead,
    ParallelBlock,
    PostNormBlock,
    PreNormBlock,
    RMSNorm,
    SandwichBlock,
    ScaledDotProduct,
    SwiGLU,
    TokenStem,
)
from framework.exchange.families.entries import (
    Activation,
    Choice,
    Derived,
    Dropout,
    Entry,
    Flag,
    Number,
    Options,
    Reciprocal,
    Size,
)
from framework.exchange.families.family import Family
from framework.exchange.families.names import Modules, Names
from framework.exchange.families.positions import (
    Rotation,
    Windows,
    by_pattern,
    every,
    from_block,
)

HIDDEN = "backbone.feedforward.hidden"
TEXT = {"stem": TokenStem, "backbone": Decoder, "head": LinearHead, "head.bias": False}
GATED = {**TEXT, "backbone.feedforward": SwiGLU, "backbone.norm": RMSNorm}
PLAIN = {**GATED, "backbone.feedforward.bias": False}  # of networks without biases


def _heads(known: Options) -> int:
    return int(known["backbone.heads"])


def _width(known: Options) -> int:
    return max(1, int(known["backbone.dim"]) // _heads(known))


SIZES: tuple[Entry, ...] = (
    Size("vocab_size", "size"),
    Size("hidden_size", "backbone.dim"),
    Size("num_hidden_layers", "backbone.depth"),
    Size("num_attention_heads", "backbone.heads"),
    Size("intermediate_size", HIDDEN),
    Size("max_position_embeddings", "length", 2048),
)
GROUPS = Size("num_key_value_heads", "backbone.kv_heads", _heads)
WIDTH = Size("head_dim", "backbone.head_dim", _width)
WHOLE = (  # heads that divide the width, for formats that have no key for theirs
    Derived("backbone.head_dim", lambda known: _width(known)),
)
UNTIED, TIED = (Flag("tie_word_embeddings", "tied", default) for default in (False, True))
DROPOUT = Dropout("attention_dropout", "backbone.dropout")
SCALE = "backbone.attention.scale"


BIAS = Choice("attention_bias", "backbone.bias", False, ((False, False), (True, True)))


def _norm(eps: float) -> Number:
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


def _llama_like(norms: Mapping[Modules, Modules]) -> Names:
    whole = {"embed_tokens": "stem.embedding", "norm": "backbone.norm"}
    return Names("model.", whole, "layers.{}.", _modules(norms))


SILU: dict[str, Any] = {"hidden_act": "silu"}
GPT2 = Family(
    "gpt2",
    title="GPT-2",
    architecture="GPT2LMHeadModel",
    parts={
        **TEXT,
        "backbone.bias": True,
        "backbone.feedforward": FeedForward,
        "backbone.feedforward.bias": True,
        "backbone.norm": LayerNorm,
        "backbone.positions": Learned,
    },
    entries=(
        Size("vocab_size", "size"),
        Size("n_embd", "backbone.dim"),
        Size("n_layer", "backbone.depth"),
        Size("n_head", "backbone.heads"),
        Size("n_inner", HIDDEN, lambda known: 4 * known["backbone.dim"]),
        Size("n_positions", "length", 1024),
        Derived("backbone.positions.length", lambda known: known["length"]),
        Derived("backbone.kv_heads", _heads),
        *WHOLE,
        Activation(
            "activation_function",
            "backbone.feedforward.activation",
            names=("gelu_new", "gelu_pytorch_tanh", "gelu"),
        ),
        Number("layer_norm_epsilon", "backbone.norm.eps", 1e-5),
        TIED,
        *(Dropout(f"{part}_pdrop", "backbone.dropout") for part in ("attn", "resid")),
        Dropout("embd_pdrop", "stem.dropout"),
    ),
    fixed={
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "add_cross_attention": False,
    },
    names=Names(
        "transformer.",
        {
            "wte": "stem.embedding",
            "wpe": "backbone.positions.table",
            "ln_f": "backbone.norm",
        },
        "h.{}.",
        {
            "ln_1": "attention_norm",
            "attn.c_attn": ("attention.query", "attention.key_value"),
            "attn.c_proj": "attention.out",
            "ln_2": "feedforward_norm",
            "mlp.c_fc": "feedforward.up",
            "mlp.c_proj": "feedforward.down",
        },
        transposed=True,
        constants=r"\.attn\.(masked_)?bias$",
    ),
    harmless=(
        *("n_ctx", "reorder_and_upcast_attn", "summary_type", "summary_use_proj"),
        *("summary_activation", "summary_proj_to_labels", "summary_first_dropout"),
    ),
)
LLAMA = Family(
    "llama",
    title="Llama",
    architecture="LlamaForCausalLM",
    parts=GATED,
    entries=(
        *SIZES,
        GROUPS,
        WIDTH,
        BIAS,
        Flag("mlp_bias", "backbone.feedforward.bias", False),
        _norm(1e-6),
        Rotation(),
        UNTIED,
        DROPOUT,
    ),
    fixed={**SILU, "sliding_window": None},
    names=_llama_like(PRE),
)
MISTRAL = Family(
    "mistral",
    title="Mistral",
    architecture="MistralForCausalLM",
    parts=PLAIN,
    entries=(
        *SIZES,
        GROUPS,
        WIDTH,
        _norm(1e-6),
        Rotation(),
        Windows(default=4096),
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=_llama_like(PRE),
)
QWEN_WINDOWS = Windows(
    switch="use_sliding_window",
    rule=from_block("max_window_layers", 28),
    default=4096,
    more=("max_window_layers",),
)
QWEN2 = Family(
    "qwen2",
    title="Qwen2",
    architecture="Qwen2ForCausalLM",
    parts={**PLAIN, "backbone.bias": "qkv"},
    entries=(*SIZES, GROUPS, *WHOLE, _norm(1e-6), Rotation(), QWEN_WINDOWS, UNTIED, DROPOUT),
    fixed=SILU,
    names=_llama_like(PRE),
)
QWEN3 = Family(
    "qwen3",
    title="Qwen3",
    architecture="Qwen3ForCausalLM",
    parts={**PLAIN, "backbone.qk_norm": RMSNorm},
    entries=(
        *SIZES,
        GROUPS,
        Size("head_dim", "backbone.head_dim", 128),
        BIAS,
        _norm(1e-6),
        Derived("backbone.qk_norm.eps", lambda known: known["backbone.norm.eps"]),
        Rotation(),
        QWEN_WINDOWS,
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=_llama_like(PRE),
)
OLMO1 = Family(
    "olmo1",
    title="OLMo",
    architecture="OlmoForCausalLM",
    parts={**PLAIN, "backbone.norm": LayerNorm, "backbone.norm.affine": False},
    entries=(
        *SIZES,
        GROUPS,
        *WHOLE,
        BIAS,
        Derived("backbone.norm.eps", lambda known: 1e-5),
        Rotation(),
        UNTIED,
        DROPOUT,
    ),
    fixed={**SILU, "clip_qkv": None},
    names=_llama_like({}),
    kind="olmo",
    mark="hidden_size",
)
POST_NORM = {
    **PLAIN,
    "backbone.block": PostNormBlock,
    "backbone.qk_norm": RMSNorm,
    "backbone.qk_norm_over": "all",
}
QK_EPS = Derived("backbone.qk_norm.eps", lambda known: known["backbone.norm.eps"])
OLMO2 = Family(
    "olmo2",
    title="OLMo 2",
    architecture="Olmo2ForCausalLM",
    parts=POST_NORM,
    entries=(*SIZES, GROUPS, *WHOLE, BIAS, _norm(1e-5), QK_EPS, Rotation(), UNTIED, DROPOUT),
    fixed=SILU,
    names=_llama_like(POST),
)
OLMO3 = Family(
    "olmo3",
    title="OLMo 3",
    architecture="Olmo3ForCausalLM",
    parts=POST_NORM,
    entries=(
        *SIZES,
        GROUPS,
        *WHOLE,
        BIAS,
        _norm(1e-5),
        QK_EPS,
        Windows(rule=every(4), default=4096),
        Rotation(theta=500000.0, near_theta=500000.0),
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=_llama_like(POST),
)
NEOX = Family(
    "gpt_neox",
    title="GPT-NeoX",
    architecture="GPTNeoXForCausalLM",
    parts={
        **TEXT,
        "backbone.feedforward": FeedForward,
        "backbone.feedforward.bias": True,
        "backbone.norm": LayerNorm,
    },
    entries=(
        *SIZES,
        Derived("backbone.kv_heads", _heads),
        *WHOLE,
        Choice("attention_bias", "backbone.bias", True, ((True, True), (False, False))),
        Choice(
            "use_parallel_residual",
            "backbone.block",
            True,
            ((True, ParallelBlock), (False, PreNormBlock)),
        ),
        Activation(
            "hidden_act",
            "backbone.feedforward.activation",
            names=("gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"),
        ),
        Number("layer_norm_eps", "backbone.norm.eps", 1e-5),
        Rotation(fraction=0.25, theta_key="rotary_emb_base", fraction_key="rotary_pct"),
        UNTIED,
        DROPOUT,
        Dropout("hidden_dropout", "backbone.dropout"),
    ),
    names=Names(
        "gpt_neox.",
        {"embed_in": "stem.embedding", "final_layer_norm": "backbone.norm"},
        "layers.{}.",
        {
            "input_layernorm": "attention_norm",
            "attention.query_key_value": ("attention.query", "attention.key_value"),
            "attention.dense": "attention.out",
            "post_attention_layernorm": "feedforward_norm",
            "mlp.dense_h_to_4h": "feedforward.up",
            "mlp.dense_4h_to_h": "feedforward.down",
        },
        readout=("embed_out", "lm_head"),
        by_head=True,
        constants=r"attention\.(bias|masked_bias|rotary_emb\.inv_freq)$",
    ),
    harmless=("is_decoder",),
)
GEMMA_PARTS = {**PLAIN, "backbone.norm.offset": 1.0}
FOLDED = Derived("stem.scale", lambda known: float(known["backbone.dim"] ** 0.5))
GEMMA = Family(
    "gemma",
    title="Gemma",
    architecture="GemmaForCausalLM",
    parts=GEMMA_PARTS,
    entries=(
        *SIZES,
        GROUPS,
        Size("head_dim", "backbone.head_dim", 256),
        BIAS,
        Activation(
            "hidden_act",
            "backbone.feedforward.gate",
            names=("gelu_pytorch_tanh",),
            older=(("gelu", "gelu_pytorch_tanh"),),
        ),
        _norm(1e-6),
        Rotation(),
        FOLDED,
        TIED,
        DROPOUT,
    ),
    fixed={"hidden_activation": "gelu_pytorch_tanh", "use_bidirectional_attention": False},
    names=_llama_like(PRE),
)
GEMMA_GATE = Activation(
    "hidden_activation", "backbone.feedforward.gate", names=("gelu_pytorch_tanh", "gelu", "silu")
)
SCALAR = Reciprocal("query_pre_attn_scalar", "backbone.attention.scale", 256)
GEMMA2 = Family(
    "gemma2",
    title="Gemma 2",
    architecture="Gemma2ForCausalLM",
    parts={**GEMMA_PARTS, "backbone.block": SandwichBlock, "backbone.attention": ScaledDotProduct},
    entries=(
        *SIZES,
        GROUPS,
        Size("head_dim", "backbone.head_dim", 256),
        BIAS,
        GEMMA_GATE,
        SCALAR,
        _norm(1e-6),
        Windows(rule=every(2), default=4096),
        Rotation(),
        FOLDED,
        TIED,
        DROPOUT,
    ),
    fixed={
        "final_logit_softcapping": None,
        "attn_logit_softcapping": None,
        "use_bidirectional_attention": False,
    },
    names=_llama_like(SANDWICH),
)
GEMMA3 = Family(
    "gemma3_text",
    title="Gemma 3",
    architecture="Gemma3ForCausalLM",
    parts={
        **GEMMA2.parts,
        "backbone.qk_norm": RMSNorm,
        "backbone.qk_norm.offset": 1.0,
    },
    entries=(
        *SIZES,
        GROUPS,
        Size("head_dim", "backbone.head_dim", 256),
        BIAS,
        GEMMA_GATE,
        SCALAR,
        _norm(1e-6),
        QK_EPS,
        Windows(
            rule=by_pattern("sliding_window_pattern", 6),
            default=4096,
            more=("sliding_window_pattern",),
        ),
        Rotation(theta=1e6, near_theta=10000.0, near_key="rope_local_base_freq"),
        FOLDED,
        TIED,
        DROPOUT,
    ),
    fixed={
        "final_logit_softcapping": None,
        "attn_logit_softcapping": None,
        "use_bidirectional_attention": False,
    },
    names=_llama_like(SANDWICH),
    harmless=("_sliding_window_pattern",),
)
FAMILIES: tuple[Family, ...] = (
    *(GPT2, LLAMA, MISTRAL, QWEN2, QWEN3, OLMO1, OLMO2, OLMO3, NEOX, GEMMA, GEMMA2, GEMMA3),
)
