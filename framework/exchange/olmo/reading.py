"""Reads OLMo's configurations, and p from the shapes of tensors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from framework.exchange.configuration import Configuration
from framework.exchange.olmo.architecture import FAN_WEIGHT, Architecture, p_of, phases

FIXED = {  # no Decoder is otherwise; what a missing key means shows in the tensors
    "activation_type": "swiglu",
    "block_group_size": 1,
    "rope": True,
    "alibi": False,
    "clip_qkv": None,
    "attention_layer_norm": False,
    "embedding_layer_norm": False,
    "layer_norm_with_affine": True,
    "include_bias": False,
    "bias_for_layer_norm": False,
    "scale_logits": False,
    "norm_after": False,
}
EPS, THETA = 1e-5, 10000.0  # where a configuration does not say, as in OLMo's code


def architecture(
    config: Configuration, tensors: Mapping[str, Tensor], prefix: str
) -> Architecture:
    """Reads the sizes of a model.

    p is read from shapes of tensors: configurations may leave it out, and the default of the
    authors' code has changed since their models were trained.

    Args:
        config: The configuration of the model.
        tensors: Its tensors.
        prefix: What their names start with.

    Raises:
        ValueError: If the two disagree, or our Decoder cannot be such a model.

    Source: Dong et al., "FANformer" (arXiv:2502.21309), released code.
    """
    for key, value in FIXED.items():
        config.require(key, value)
    config.require("layer_norm_type", "rms", default="default")
    dim, heads = config.size("d_model"), config.size("n_heads")
    if dim % heads:
        raise ValueError(
            f"{config.path} says d_model: {dim}, which n_heads: {heads} does not divide; "
            "correct it."
        )
    block = prefix + "blocks.0."
    kv_heads = _kv_heads(config, heads)
    fan, own = _fans(config, tensors, block)
    activation = config.require("attention_activation", "none", "gelu")
    if own and activation != "none":
        raise ValueError(
            f"{config.path} says block_type: fanformer with attention_activation: {activation}; "
            "such blocks are known without an activation only."
        )
    width = dim // heads * kv_heads
    return Architecture(
        dim=dim,
        depth=config.size("n_layers"),
        heads=heads,
        kv_heads=kv_heads,
        hidden=_hidden(config, tensors.get(block + "ff_proj.weight"), dim),
        size=_size(config, tensors.get(prefix + "wte.weight")),
        length=config.size("max_sequence_length", 1024),
        tied=config.flag("weight_tying", prefix + "ff_out.weight" not in tensors),
        eps=config.number("layer_norm_eps", EPS),
        theta=config.number("rope_theta", THETA),
        phases=_phases(config, tensors, f"{block}att_proj.{FAN_WEIGHT}", dim) if fan else None,
        value_phases=(
            _phases(config, tensors, f"{block}v_fan.input_linear.weight", width) if own else None
        ),
        activation=activation,
    )


def _kv_heads(config: Configuration, heads: int) -> int:
    shared = 1 if config.flag("multi_query_attention", False) else heads
    kv_heads = config.size("n_kv_heads", shared)
    both = config.has("multi_query_attention") and config.has("n_kv_heads")
    if both and kv_heads != shared:
        raise ValueError(
            f"{config.path} says n_kv_heads: {kv_heads} and multi_query_attention: "
            f"{str(shared == 1).lower()}, which contradict each other; drop one."
        )
    if heads % kv_heads:
        raise ValueError(
            f"{config.path} says n_heads: {heads}, which n_kv_heads: {kv_heads} does not divide; "
            "correct it."
        )
    return kv_heads


def _fans(config: Configuration, tensors: Mapping[str, Tensor], block: str) -> tuple[bool, bool]:
    """Returns whether a FAN layer precedes attention, and whether one makes the values."""
    fan = f"{block}att_proj.{FAN_WEIGHT}" in tensors
    if config.flag("use_ATF", fan) != fan:
        raise ValueError(
            f"{config.path} says use_ATF: {str(not fan).lower()}, but the tensors "
            f"{'have' if fan else 'lack'} a FAN layer ({block}att_proj.{FAN_WEIGHT}); correct the "
            "configuration, or get the tensors that belong to it."
        )
    own = f"{block}v_fan.input_linear.weight" in tensors
    kind = "fanformer" if own else "sequential"
    said = config.require("block_type", "sequential", "fanformer", default=kind)
    if said != kind or (own and not fan):
        raise ValueError(
            f"{config.path} says block_type: {said}, but the tensors "
            f"{'have' if own else 'lack'} a FAN layer that makes values "
            f"({block}v_fan.input_linear.weight); correct the configuration, or get the tensors "
            "that belong to it."
        )
    return fan, own


def _phases(config: Configuration, tensors: Mapping[str, Tensor], name: str, width: int) -> int:
    """Computes the phases of a FAN layer of `width` outputs from the rows of its matrix."""
    rows = tensors[name].shape[0] if tensors[name].ndim else 0
    count = width - rows
    if not 0 <= 2 * count <= width:
        raise ValueError(
            f"{config.path}: the tensor {name} has {rows} rows for {width} features, which is no "
            f"FAN layer; it has between {width - width // 2} and {width}."
        )
    if config.has("p_ratio"):
        said = config.values["p_ratio"]
        if isinstance(said, bool) or not isinstance(said, int | float) or not 0 <= said <= 0.5:
            raise ValueError(f"{config.path} says p_ratio: {said}; p lies between 0 and 0.5.")
        if phases(said, width) != count:
            raise ValueError(
                f"{config.path} says p_ratio: {said}, which gives {phases(said, width)} phases, "
                f"but the tensor {name} has {rows} rows of {width}, which is p = "
                f"{p_of(count, width):g} ({count} phases); correct the configuration, or get the "
                "tensors that belong to it."
            )
    return count


def _hidden(config: Configuration, network: Tensor | None, dim: int) -> int:
    """Returns the width of the feed-forward network behind its gate."""
    seen = network.shape[0] if network is not None and network.ndim else 4 * dim
    if config.has("mlp_ratio"):
        seen = config.size("mlp_ratio") * dim
    both = config.size("mlp_hidden_size", seen)
    if both % 2:
        raise ValueError(
            f"{config.path} says mlp_hidden_size: {both}, which has no half; SwiGLU needs two."
        )
    return both // 2


def _size(config: Configuration, table: Tensor | None) -> int:
    """Returns the rows of the embedding, some of which may stand for no token."""
    tokens = config.size("vocab_size")
    seen = tokens
    if "embedding_size" not in config.values and table is not None and table.ndim:
        seen = table.shape[0]
    size = config.size("embedding_size", seen)
    if size < tokens:
        raise ValueError(
            f"{config.path} says vocab_size: {tokens}, but its embedding has {size} rows; "
            "each token needs one."
        )
    return size
