"""The tables of GPT-2 and GPT-NeoX."""

from __future__ import annotations

from components import (
    FeedForward,
    LayerNorm,
    Learned,
    ParallelBlock,
    PreNormBlock,
)
from framework.exchange.families.entries import (
    Activation,
    Choice,
    Derived,
    Dropout,
    Number,
    Size,
)
from framework.exchange.families.family import Family
from framework.exchange.families.names import Names
from framework.exchange.families.rotation import Rotation
from framework.exchange.families.shared import (
    DROPOUT,
    HIDDEN,
    SIZES,
    TEXT,
    TIED,
    UNTIED,
    WHOLE,
    heads,
)

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
        Derived("backbone.kv_heads", heads),
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
        Derived("backbone.kv_heads", heads),
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
