"""The entries of T5 and Chronos that no other family has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from components import FeedForward, SwiGLU
from framework.exchange.configuration import Configuration
from framework.exchange.families.entries import ACTIVATIONS, OWN, Entry, Options

NETWORK = "backbone.feedforward"
SPECIALS = 3  # tokens of Chronos that are no cells: padding, the end, and one that is never used


@dataclass(frozen=True)
class Network(Entry):
    """The feed-forward network: one key names it, two repeat what it means."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys."""
        return ("feed_forward_proj", "is_gated_act", "dense_act_fn")

    @property
    def options(self) -> tuple[str, ...]:
        """The class of the network, and its activation."""
        return (NETWORK, f"{NETWORK}.gate", f"{NETWORK}.activation")

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the network; see `Entry.read`."""
        text = str(config.values.get("feed_forward_proj", "relu"))
        name = text.removeprefix("gated-")
        gated = config.flag("is_gated_act", name != text)
        default = "gelu_new" if text == "gated-gelu" else name
        kind, options = ACTIVATIONS[config.require("dense_act_fn", *ACTIVATIONS, default=default)]
        path = f"{NETWORK}.{'gate' if gated else 'activation'}"
        made = {path: kind} | {f"{path}.{k}": v for k, v in options.items()}
        return {NETWORK: SwiGLU if gated else FeedForward, **made}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the keys; see `Entry.write`."""
        gated = known[NETWORK] is SwiGLU
        path = f"{NETWORK}.{'gate' if gated else 'activation'}"
        for name, (kind, options) in ACTIVATIONS.items():
            same = all(known.get(f"{path}.{k}") == v for k, v in options.items())
            if known[NETWORK] in (SwiGLU, FeedForward) and known[path] is kind and same:
                text = "gelu" if kind is nn.GELU else name
                found = {"feed_forward_proj": f"gated-{text}" if gated else text}
                return found | {"is_gated_act": gated, "dense_act_fn": name}
        raise ValueError(
            f"{owner} has the feed-forward network {known[NETWORK].__name__}, which the format "
            f"cannot express with its activation; only SwiGLU or FeedForward with "
            f"{' or '.join(ACTIVATIONS)} can be exported."
        )


@dataclass(frozen=True)
class Outputs(Entry):
    """The read-out: whether it is the embedding, and whether states are divided by √D before it.

    Files of transformers before version 5 say both by `tie_word_embeddings`; in later ones that is
    always true, and a read-out of its own is one that there are tensors of.

    Args:
        always: Whether it must be the embedding.
    """

    always: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys."""
        return ("tie_word_embeddings", "scale_decoder_outputs")

    @property
    def options(self) -> tuple[str, ...]:
        """Whether both are one matrix, and the scale of states."""
        return ("tied", "head.scale")

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the scale; see `Entry.read`."""
        if self.always and known[OWN]:
            raise ValueError(
                f"{config.path} is beside tensors of a read-out that is not the embedding, which "
                "our forecaster does not have; only one matrix as both can be imported."
            )
        both = config.flag("tie_word_embeddings", True)
        scaled = config.flag("scale_decoder_outputs", both)
        return {"tied": not known[OWN], "head.scale": _scale(known) if scaled else 1.0}

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the keys; see `Entry.write`."""
        tied, scale = known["tied"], known["head.scale"]
        if scale not in (1.0, _scale(known)) or (self.always and not tied):
            raise ValueError(
                f"{owner} has LinearHead with scale={scale} and tied={tied}, which the format "
                f"cannot express; only {'tied=True and ' if self.always else ''}a scale of 1.0 or "
                f"{_scale(known)} can be exported."
            )
        return {"tie_word_embeddings": tied, "scale_decoder_outputs": scale != 1.0}


@dataclass(frozen=True)
class Cells(Entry):
    """What Chronos adds: cells, lengths, and how values are drawn."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The key, whose value is a mapping."""
        return ("chronos_config",)

    @property
    def options(self) -> tuple[str, ...]:
        """None of our parts."""
        return ()

    def read(self, config: Configuration, known: Options) -> Options:
        """Reads the mapping; see `Entry.read`."""
        inner = _inner(config, "chronos_config")
        limits = _inner(inner, "tokenizer_kwargs")
        numbers = ("context_length", "prediction_length", "num_samples", "temperature", "top_k")
        fixed = {"n_tokens": known["size"], **FIXED}
        inner.require_known({*fixed, *numbers, "tokenizer_kwargs"}, "Chronos")
        for key, value in fixed.items():
            inner.require(key, value)
        limits.require_known(("low_limit", "high_limit"), "MeanScaleUniformBins")
        low, high = (limits.real(key) for key in ("low_limit", "high_limit"))
        if not low < high:
            raise ValueError(
                f"{limits.path} says low_limit: {low}, high_limit: {high}; numbers that increase "
                "are needed."
            )
        return {
            "low": low,
            "high": high,
            "context": inner.size("context_length"),
            "horizon": inner.size("prediction_length"),
            "paths.samples": inner.size("num_samples", 20),
            "paths.temperature": inner.number("temperature", 1.0),
            "paths.top_k": inner.size("top_k") if inner.values.get("top_k") else None,
        }

    def write(self, owner: str, known: Options) -> dict[str, Any]:
        """Writes the mapping; see `Entry.write`."""
        made = {
            **FIXED,
            "tokenizer_kwargs": {"low_limit": known["low"], "high_limit": known["high"]},
            "n_tokens": known["size"],
            "context_length": known["context"],
            "prediction_length": known["horizon"],
            "num_samples": known["paths.samples"],
            "temperature": known["paths.temperature"],
            "top_k": known["paths.top_k"] or 0,
        }
        return {"chronos_config": made}


FIXED = {
    "tokenizer_class": "MeanScaleUniformBins",
    "n_special_tokens": SPECIALS - 1,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "use_eos_token": True,
    "model_type": "seq2seq",
    "top_p": 1.0,
}


def _inner(config: Configuration, key: str) -> Configuration:
    value = config.values.get(key)
    if not isinstance(value, Mapping):
        raise ValueError(f"{config.path} says {key}: {value}; keys and values are needed.")
    return Configuration(f"{config.path}, {key},", value)


def _scale(known: Options) -> float:
    return float(known["backbone.dim"] ** -0.5)
