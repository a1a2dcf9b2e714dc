"""The tables of OLMo, OLMo 2 and OLMo 3, as transformers names them."""

from __future__ import annotations

from components import (
    LayerNorm,
    PostNormBlock,
    RMSNorm,
)
from framework.exchange.families.entries import (
    Bound,
    Derived,
)
from framework.exchange.families.family import Family
from framework.exchange.families.rotation import Rotation
from framework.exchange.families.shared import (
    BIAS,
    DROPOUT,
    GROUPS,
    PLAIN,
    POST,
    QK_EPS,
    SILU,
    SIZES,
    UNTIED,
    WHOLE,
    llama_like,
    norm,
)
from framework.exchange.families.windows import Windows, every

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
        Bound("clip_qkv", "backbone.clip_qkv"),
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=llama_like({}),
    kind="olmo",
    mark="hidden_size",
)
POST_NORM = {
    **PLAIN,
    "backbone.block": PostNormBlock,
    "backbone.qk_norm": RMSNorm,
    "backbone.qk_norm_over": "all",
}
OLMO2 = Family(
    "olmo2",
    title="OLMo 2",
    architecture="Olmo2ForCausalLM",
    parts=POST_NORM,
    entries=(*SIZES, GROUPS, *WHOLE, BIAS, norm(1e-5), QK_EPS, Rotation(), UNTIED, DROPOUT),
    fixed=SILU,
    names=llama_like(POST),
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
        norm(1e-5),
        QK_EPS,
        Windows(rule=every(4), default=4096),
        Rotation(theta=500000.0, near_theta=500000.0),
        UNTIED,
        DROPOUT,
    ),
    fixed=SILU,
    names=llama_like(POST),
)
