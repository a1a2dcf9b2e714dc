"""The tables of Gemma, Gemma 2 and Gemma 3."""

from __future__ import annotations

from components import (
    RMSNorm,
    SandwichBlock,
    ScaledDotProduct,
)
from framework.exchange.families.entries import (
    Activation,
    Bound,
    Derived,
    Entry,
    Reciprocal,
    Size,
)
from framework.exchange.families.family import Family
from framework.exchange.families.rotation import Rotation
from framework.exchange.families.shared import (
    BIAS,
    DROPOUT,
    GROUPS,
    PLAIN,
    PRE,
    QK_EPS,
    SANDWICH,
    SIZES,
    TIED,
    llama_like,
    norm,
)
from framework.exchange.families.windows import Windows, by_pattern, every

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
        norm(1e-6),
        Rotation(),
        FOLDED,
        TIED,
        DROPOUT,
    ),
    fixed={"hidden_activation": "gelu_pytorch_tanh", "use_bidirectional_attention": False},
    names=llama_like(PRE),
)
GEMMA_GATE = Activation(
    "hidden_activation", "backbone.feedforward.gate", names=("gelu_pytorch_tanh", "gelu", "silu")
)
SCALAR = Reciprocal("query_pre_attn_scalar", "backbone.attention.scale", 256)
CAUSAL = {"use_bidirectional_attention": False}


def caps(attention: float | None, readout: float | None) -> tuple[Entry, ...]:
    """Returns the entries of bounds of scores and of logits, from what missing keys mean."""
    return (
        Bound("attn_logit_softcapping", "backbone.attention.cap", attention),
        Bound("final_logit_softcapping", "head.cap", readout),
    )


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
        norm(1e-6),
        *caps(50.0, 30.0),
        Windows(rule=every(2), default=4096),
        Rotation(),
        FOLDED,
        TIED,
        DROPOUT,
    ),
    fixed=CAUSAL,
    names=llama_like(SANDWICH),
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
        norm(1e-6),
        QK_EPS,
        *caps(None, None),
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
    fixed=CAUSAL,
    names=llama_like(SANDWICH),
    harmless=("_sliding_window_pattern",),
)
