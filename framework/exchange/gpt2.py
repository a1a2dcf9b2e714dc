"""GPT-2, as the library transformers saves it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from components import Decoder, FeedForward, LayerNorm, Learned
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

GELUS = {  # what transformers calls them, and how torch approximates them
    "gelu_new": "tanh",
    "gelu_pytorch_tanh": "tanh",
    "gelu": "none",
}
FIXED = {  # no Decoder is otherwise
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
EPS = 1e-5  # where a configuration does not say, as in transformers
PREFIX = "transformer."  # of names; files of the model without its read-out have none
MASK = re.compile(r"\.attn\.(masked_)?bias$")  # constants in old files


class Gpt2(Format):
    """A decoder with learned positions, LayerNorm and biases, tied to its embedding.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners", section 2.3.
    """

    name = "gpt2"
    kinds = ("gpt2",)

    def plan(self, config: Configuration, tensors: Mapping[str, Tensor]) -> ImportPlan:
        """Plans the import of a model; see `Format.plan`."""
        for key, value in FIXED.items():
            config.require(key, value)
        approximate = GELUS[config.require("activation_function", *GELUS)]
        dim, depth = config.size("n_embd"), config.size("n_layer")
        size, length = config.size("vocab_size"), config.size("n_positions", 1024)
        hidden, tied = config.size("n_inner", 4 * dim), config.flag("tie_word_embeddings", True)
        start = PREFIX if any(name.startswith(PREFIX) for name in tensors) else ""
        maps = [
            TensorMap({start + "wte.weight": (size, dim)}, {EMBEDDING: (size, dim)}),
            TensorMap(
                {start + "wpe.weight": (length, dim)},
                {"backbone.positions.table.weight": (length, dim)},
            ),
            *_norm(start + "ln_f.", "backbone.norm.", dim),
        ]
        for index in range(depth):
            maps += _block(f"{start}h.{index}.", f"backbone.blocks.{index}.", dim, hidden)
        if not tied:
            maps.append(TensorMap({"lm_head.weight": (size, dim)}, {READOUT: (size, dim)}))
        gelu = partial(nn.GELU, approximate=approximate)
        backbone = partial(
            Decoder,
            dim=dim,
            depth=depth,
            heads=config.size("n_head"),
            bias=True,
            feedforward=partial(FeedForward, hidden=hidden, activation=gelu, bias=True),
            norm=partial(LayerNorm, eps=config.number("layer_norm_epsilon", EPS)),
            positions=partial(Learned, length=length),
        )
        return ImportPlan("GPT-2", backbone, size, length, tied, maps)

    def parameters(self, plan: ImportPlan, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leaves out masks, and a read-out that repeats the embedding."""
        kept = {name: tensor for name, tensor in tensors.items() if not MASK.search(name)}
        table = next(iter(plan.tensors[0].theirs))
        return without_twin("GPT-2", kept, "lm_head.weight", table) if plan.tied else kept


def _block(theirs: str, ours: str, dim: int, hidden: int) -> list[TensorMap]:
    attention, network = ours + "attention.", ours + "feedforward."
    fused = {attention + "query.": dim, attention + "key_value.": 2 * dim}
    return [
        *_norm(theirs + "ln_1.", ours + "attention_norm.", dim),
        *_linear(theirs + "attn.c_attn.", fused, dim),
        *_linear(theirs + "attn.c_proj.", {attention + "out.": dim}, dim),
        *_norm(theirs + "ln_2.", ours + "feedforward_norm.", dim),
        *_linear(theirs + "mlp.c_fc.", {network + "up.": hidden}, dim),
        *_linear(theirs + "mlp.c_proj.", {network + "down.": dim}, hidden),
    ]


def _norm(theirs: str, ours: str, dim: int) -> list[TensorMap]:
    return [
        TensorMap({theirs + name: (dim,)}, {ours + name: (dim,)}) for name in ("weight", "bias")
    ]


def _linear(theirs: str, ours: Mapping[str, int], reads: int) -> list[TensorMap]:
    """Maps a linear layer, whose matrix is transposed; several of ours may share its outputs."""
    total = sum(ours.values())
    matrices: dict[str, Shape] = {name + "weight": (rows, reads) for name, rows in ours.items()}
    biases: dict[str, Shape] = {name + "bias": (rows,) for name, rows in ours.items()}
    return [
        TensorMap({theirs + "weight": (reads, total)}, matrices, transposed=True),
        TensorMap({theirs + "bias": (total,)}, biases),
    ]
