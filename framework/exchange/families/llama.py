"""The tables of Llama, Mistral and Qwen."""

from __future__ import annotations

from components import (
    RMSNorm,
)
from framework.exchange.families.entries import (
    Derived,
    Flag,
    Size,
)
from framework.exchange.families.family import Family
from framework.exchange.families.rotation import Rotation
from framework.exchange.families.shared import (
    BIAS,
    DROPOUT,
    GATED,
    GROUPS,
    PLAIN,
    PRE,
    SILU,
    SIZES,
    UNTIED,
    WHOLE,
    WIDTH,
    llama_like,
    norm,
)
from framework.exchange.families.windows import Windows, from_block

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
        norm(1e-6),
        Rotation(),
        UNTIED,
        DROPOUT,
    ),
    fixed={**SILU, "sliding_window": None},
    names=llama_like(PRE),
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
        norm(1e-6),
        Rotation(),
        Windows(default=4096),
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=llama_like(PRE),
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
    entries=(*SIZES, GROUPS, *WHOLE, norm(1e-6), Rotation(), QWEN_WINDOWS, UNTIED, DROPOUT),
    fixed={**SILU, "use_mrope": False},
    names=llama_like(PRE),
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
        norm(1e-6),
        Derived("backbone.qk_norm.eps", lambda known: known["backbone.norm.eps"]),
        Rotation(),
        QWEN_WINDOWS,
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=llama_like(PRE),
)
