"""Writes a model of ours as OLMo's format says it, or says why it cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from framework.exchange.description import Described
from framework.exchange.olmo.architecture import Architecture
from framework.exchange.shares import phases, share

ACTIVATIONS = {"torch.nn.Identity": "none", "torch.nn.GELU": "gelu"}
NARROWING = "backbone.blocks.0.feedforward.down.weight"  # its width may be a default
KEYS = (  # of OLMo's configurations, and of FANformer's
    *("d_model", "n_heads", "n_kv_heads", "clip_qkv", "n_layers", "mlp_ratio", "mlp_hidden_size"),
    *("activation_type", "block_type", "block_group_size", "alibi", "alibi_bias_max", "rope"),
    *("rope_full_precision", "rope_theta", "flash_attention", "attention_dropout"),
    *("multi_query_attention", "attention_layer_norm", "residual_dropout", "embedding_dropout"),
    *("embedding_layer_norm", "layer_norm_type", "layer_norm_with_affine", "layer_norm_eps"),
    *("attention_layer_norm_with_affine", "max_sequence_length", "include_bias"),
    *("bias_for_layer_norm", "scale_logits", "vocab_size", "embedding_size", "weight_tying"),
    *("eos_token_id", "pad_token_id", "init_device", "init_fn", "init_std", "init_cutoff_factor"),
    *("precision", "scale_emb_init", "emb_init_std", "norm_after"),
    *("use_ATF", "p_ratio", "attention_activation"),
)


def described(
    owner: str, recipe: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> Architecture:
    """Reads a checkpoint of ours.

    Args:
        owner: Where it stands, for messages.
        recipe: The hyper-parameters of a `LanguageModel`.
        tensors: Its parameters.

    Raises:
        ValueError: If the format has no such model.
    """
    decoder = Described(owner, "the backbone", recipe["backbone"])
    decoder.must_be("components.Decoder")
    decoder.must_have("bias", False)
    decoder.must_have("qk_norm", None)
    operator = decoder.part("attention")
    operator.must_be("components.ScaledDotProduct", "components.Myopic")
    operator.must_have("scale", None)
    positions, norm = decoder.part("positions"), decoder.part("norm")
    positions.must_be("components.Rotary")
    norm.must_be("components.RMSNorm")
    network = decoder.part("feedforward")
    network.must_be("components.SwiGLU")
    network.must_have("bias", False)
    head = Described(owner, "the head", recipe["head"])
    head.must_be("components.LinearHead")
    head.must_have("bias", False)
    Described(owner, "the stem", recipe["stem"]).must_be("components.TokenStem")
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
    if own is not None and fan is not None and own != phases(share(fan, dim), width):
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
        size=recipe["spec"].support.size,
        length=recipe["spec"].length,
        tied=bool(recipe.get("tied", False)),
        eps=norm.options["eps"],
        theta=positions.options["theta"],
        phases=fan,
        value_phases=own,
        activation="gelu" if activation == "gelu" else "none",
    )


def values(model: Architecture, dropout: float, embedding_dropout: float) -> dict[str, Any]:
    """Returns the configuration of a model; which tokens end and pad a text it cannot know.

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
        stated["p_ratio"] = share(model.phases, model.dim)
        stated["attention_activation"] = model.activation if model.activation == "gelu" else None
    return stated


def _fan(decoder: Described, name: str, width: int) -> tuple[int | None, str]:
    """Counts the phases of a FAN layer that an option of the decoder names, None without one."""
    if decoder.options[name] is None:
        return None, "none"
    fan = decoder.part(name)
    fan.must_be("components.FanLayer")
    fan.must_have("gated", False)
    fan.must_have("p_bias", True)
    bend = fan.part("activation")
    activation = ACTIVATIONS[bend.must_be(*ACTIVATIONS)]
    if activation == "gelu":
        bend.must_have("approximate", "none")
    return phases(fan.options["p"], width), activation
