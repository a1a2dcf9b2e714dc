"""The tables of T5, and of Chronos, whose tokens are cells of the values of series."""

from __future__ import annotations

from components import (
    BinnedSeriesStem,
    EncoderDecoder,
    LinearHead,
    PairStem,
    RelativeBias,
    RMSNorm,
    ScaledDotProduct,
)
from framework.exchange.families.entries import (
    Derived,
    Dropout,
    Entry,
    Number,
    Repeated,
    Size,
)
from framework.exchange.families.family import Family
from framework.exchange.families.names import Modules, Names
from framework.exchange.families.shared import HIDDEN, heads
from framework.exchange.families.t5_entries import SPECIALS, Cells, Network, Outputs
from framework.exchange.families.tasks import SERIES, TEXT_TO_TEXT


def _attention(theirs: str, ours: str) -> dict[Modules, Modules]:
    return {
        f"{theirs}.q": f"{ours}.query",
        (f"{theirs}.k", f"{theirs}.v"): f"{ours}.key_value",
        f"{theirs}.o": f"{ours}.out",
    }


def _block(last: int) -> dict[Modules, Modules]:
    """Returns the modules of a block whose part number `last` is the feed-forward network."""
    network = f"layer.{last}.DenseReluDense"
    return {
        **_attention("layer.0.SelfAttention", "attention"),
        "layer.0.layer_norm": "attention_norm",
        f"{network}.wi": "feedforward.up",
        (f"{network}.wi_1", f"{network}.wi_0"): "feedforward.up_gate",
        f"{network}.wo": "feedforward.down",
        f"layer.{last}.layer_norm": "feedforward_norm",
    }


def _names(table: str, first: int = 0) -> Names:
    bias = "block.0.layer.0.SelfAttention.relative_attention_bias"
    cross = {
        **_attention("layer.1.EncDecAttention", "cross"),
        "layer.1.layer_norm": "cross_norm",
    }
    return Names(
        "",
        {
            "shared": table,
            f"encoder.{bias}": "backbone.context_positions.table",
            f"decoder.{bias}": "backbone.positions.table",
            "encoder.final_layer_norm": "backbone.context_norm",
            "decoder.final_layer_norm": "backbone.norm",
        },
        "encoder.block.{}.",
        _block(1),
        then=(("decoder.block.{}.", {**_block(2), **cross}),),
        copies=("encoder.embed_tokens", "decoder.embed_tokens"),
        first=first,
        constants=r"EncDecAttention\.relative_attention_bias\.weight$",
    )


PARTS = {
    "backbone": EncoderDecoder,
    "backbone.attention": ScaledDotProduct,
    "backbone.attention.scale": 1.0,
    "backbone.norm": RMSNorm,
    "backbone.positions": RelativeBias,
    "head": LinearHead,
    "head.bias": False,
}
ENTRIES: tuple[Entry, ...] = (
    Size("vocab_size", "size"),
    Size("d_model", "backbone.dim"),
    Size("num_layers", "backbone.depth"),
    Repeated("num_decoder_layers", "backbone.depth"),
    Size("num_heads", "backbone.heads"),
    Derived("backbone.kv_heads", heads),
    Size("d_kv", "backbone.head_dim", 64),
    Size("d_ff", HIDDEN),
    Network(),
    Size("relative_attention_num_buckets", "backbone.positions.buckets", 32),
    Size("relative_attention_max_distance", "backbone.positions.reach", 128),
    Number("layer_norm_epsilon", "backbone.norm.eps", 1e-6),
    Dropout("dropout_rate", "backbone.dropout"),
)
FIXED_KEYS = {"is_encoder_decoder": True, "is_decoder": False}
HARMLESS = ("initializer_factor", "classifier_dropout", "output_past")
T5 = Family(
    "t5",
    title="T5",
    architecture="T5ForConditionalGeneration",
    parts={**PARTS, "stem": PairStem},
    entries=(*ENTRIES, Outputs(), Size("n_positions", "length", 512)),
    fixed=FIXED_KEYS,
    names=_names("stem.embedding"),
    task=TEXT_TO_TEXT,
    stated={"decoder_start_token_id": 0},
    harmless=HARMLESS,
)
CHRONOS = Family(
    "chronos",
    title="Chronos",
    architecture="T5ForConditionalGeneration",
    parts={**PARTS, "stem": BinnedSeriesStem, "stem.tokens": "chronos"},
    entries=(
        *ENTRIES,
        Outputs(always=True),
        Derived("stem.bins", lambda known: known["size"] - SPECIALS),
        Derived("head.bins", lambda known: known["size"] - SPECIALS),
        Cells(),
    ),
    fixed={**FIXED_KEYS, "decoder_start_token_id": 0},
    names=_names("stem.table", SPECIALS),
    task=SERIES,
    harmless=(*HARMLESS, "n_positions"),
    kind="t5",
    mark="chronos_config",
)
