"""Reads the sizes of a model from a checkpoint of ours; writes them as OLMo's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from components import (
    Decoder,
    FanLayer,
    LinearHead,
    Myopic,
    PreNormBlock,
    RMSNorm,
    Rotary,
    ScaledDotProduct,
    SwiGLU,
    TokenStem,
)
from framework.exchange.nodes import ConfigNode
from framework.exchange.olmo.architecture import Architecture, p_of, phases

ACTIVATIONS = {nn.Identity: "none", nn.GELU: "gelu"}
NARROWING = "backbone.blocks.0.feedforward.down.weight"  # its width may be a default


def architecture_of(
    owner: str, model: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Architecture:
    """Reads the sizes of a model from its checkpoint.

    Args:
        owner: The checkpoint, for messages.
        model: The hyper-parameters of a `LanguageModel`.
        tensors: Its parameters.

    Raises:
        ValueError: If the format has no such model.
    """
    decoder = ConfigNode(owner, "the backbone", model["backbone"])
    decoder.must_be(Decoder)
    decoder.must_have("bias", False)
    decoder.must_have("qk_norm", None)
    decoder.must_have("window", None)
    decoder.child("block").must_be(PreNormBlock)
    operator = decoder.child("attention")
    operator.must_be(ScaledDotProduct, Myopic)
    operator.must_have("scale", None)
    positions, norm = decoder.child("positions"), decoder.child("norm")
    positions.must_be(Rotary)
    positions.must_have("fraction", 1.0)
    positions.must_have("scaling", None)
    norm.must_be(RMSNorm)
    norm.must_have("offset", 0.0)
    network = decoder.child("feedforward")
    network.must_be(SwiGLU)
    network.must_have("bias", False)
    network.child("gate").must_be(nn.SiLU)
    head = ConfigNode(owner, "the head", model["head"])
    head.must_be(LinearHead)
    head.must_have("bias", False)
    stem = ConfigNode(owner, "the stem", model["stem"])
    stem.must_be(TokenStem)
    stem.must_have("scale", 1.0)
    if NARROWING not in tensors:
        raise ValueError(f"{owner} lacks the parameter {NARROWING}; export a whole checkpoint.")
    dim, heads = decoder.options["dim"], decoder.options["heads"]
    if decoder.options["head_dim"] is not None:
        decoder.must_have("head_dim", dim // heads)
    kv_heads = decoder.options["kv_heads"] or heads
    fan, activation = _fan(decoder, "projection", dim)
    width = dim // heads * kv_heads
    own, of_values = _fan(decoder, "value", width)
    if own is not None and (fan is None or {activation, of_values} != {"none"}):
        decoder.must_have("value", None)
    if own is not None and fan is not None and own != phases(p_of(fan, dim), width):
        raise ValueError(
            f"{owner} has {fan} phases of {dim} in front of attention and {own} of {width} in the "
            "values, which the format cannot express; only one p for both can be exported."
        )
    return Architecture(
        dim=dim,
        depth=decoder.options["depth"],
        heads=heads,
        kv_heads=kv_heads,
        hidden=tensors[NARROWING].shape[1],
        size=model["spec"].support.size,
        length=model["spec"].length,
        tied=bool(model.get("tied", False)),
        eps=norm.options["eps"],
        theta=positions.options["theta"],
        phases=fan,
        value_phases=own,
        activation="gelu" if activation == "gelu" else "none",
    )


def values(model: Architecture, dropout: float, embedding_dropout: float) -> dict[str, Any]:
    """Returns the configuration of a model, without the tokens that end and pad a text.

    Args:
        model: The model.
        dropout: Probability to drop an attention weight or a component of what a block adds.
        embedding_dropout: Probability to drop a component of an embedded token.
    """
    stated: dict[str, Any] = {
        "d_model": model.dim,
        "n_heads": model.heads,
        "n_kv_heads": None if model.kv_heads == model.heads else model.kv_heads,
        "n_layers": model.depth,
        "mlp_hidden_size": 2 * model.hidden,
        "activation_type": "swiglu",
        "block_type": "sequential" if model.value_phases is None else "fanformer",
        "rope": True,
        "rope_theta": int(model.theta) if model.theta == int(model.theta) else model.theta,
        "attention_dropout": dropout,
        "residual_dropout": dropout,
        "embedding_dropout": embedding_dropout,
        "layer_norm_type": "rms",
        "layer_norm_with_affine": True,
        "layer_norm_eps": model.eps,
        "attention_layer_norm_with_affine": False,
        "max_sequence_length": model.length,
        "include_bias": False,
        "bias_for_layer_norm": False,
        "vocab_size": model.size,
        "embedding_size": model.size,
        "weight_tying": model.tied,
        "use_ATF": model.phases is not None,
    }
    if model.phases is not None:
        stated["p_ratio"] = p_of(model.phases, model.dim)
        stated["attention_activation"] = model.activation if model.activation == "gelu" else None
    return stated


def _fan(decoder: ConfigNode, name: str, width: int) -> tuple[int | None, str]:
    """Counts the phases of a FAN layer that an option of the decoder names, None without one."""
    if decoder.options[name] is None:
        return None, "none"
    fan = decoder.child(name)
    fan.must_be(FanLayer)
    fan.must_have("gated", False)
    fan.must_have("p_bias", True)
    bend = fan.child("activation")
    activation = ACTIVATIONS[bend.must_be(*ACTIVATIONS)]
    if activation == "gelu":
        bend.must_have("approximate", "none")
    return phases(fan.options["p"], width), activation
