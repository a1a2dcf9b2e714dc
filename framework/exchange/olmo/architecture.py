"""The sizes of a model in OLMo's formats, the decoder that computes the same, and its tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from components import Decoder, FanLayer, RMSNorm, Rotary, SwiGLU
from framework.exchange.formats import EMBEDDING, READOUT, Shape, TensorMap

FAN_WEIGHT = "fanlayer.input_linear.weight"  # only a FANformer has it


@dataclass(frozen=True)
class Architecture:
    """The sizes and choices of one model.

    Args:
        dim: Width of the hidden states.
        depth: Number of blocks.
        heads: Number of query heads.
        kv_heads: Number of key and value heads.
        hidden: Width between the two maps of the feed-forward network, half of `mlp_hidden_size`.
        size: Rows of the embedding.
        length: Positions of the longest sequence.
        tied: Whether the read-out is the embedding.
        eps: Epsilon of the norms.
        theta: Base of the wavelengths of rotary positions.
        phases: Of the FAN layer in front of queries, keys and values; None if there is none.
        value_phases: Of the FAN layer that makes the values; None if they have a matrix.
        activation: Applied to the non-periodic outputs of FAN layers.
    """

    dim: int
    depth: int
    heads: int
    kv_heads: int
    hidden: int
    size: int
    length: int
    tied: bool
    eps: float
    theta: float
    phases: int | None = None
    value_phases: int | None = None
    activation: Literal["none", "gelu"] = "none"

    @property
    def value_dim(self) -> int:
        """Width of the values of all heads together, and of the keys."""
        return self.dim // self.heads * self.kv_heads

    @property
    def p(self) -> float | None:
        """Phases per output of the FAN layer, None if there is none."""
        return None if self.phases is None else p_of(self.phases, self.dim)

    @property
    def title(self) -> str:
        """What the model is called."""
        if self.phases is None:
            return "OLMo"
        if self.phases == 0 and self.value_phases is None:
            return "OLMo + ATM" if self.activation == "gelu" else "OLMo + ATL"
        return "FANformer" + (" + GELU" if self.activation == "gelu" else "")

    def backbone(self) -> partial[Decoder]:
        """Returns the factory of the Decoder that computes the same."""
        p, value = self.p, self.value_phases
        activation = nn.GELU if self.activation == "gelu" else nn.Identity
        fan = None if p is None else partial(FanLayer, p=p, activation=activation)
        own = None
        if value is not None:
            own = partial(FanLayer, p=p_of(value, self.value_dim), activation=activation)
        return partial(
            Decoder,
            dim=self.dim,
            depth=self.depth,
            heads=self.heads,
            kv_heads=self.kv_heads,
            projection=fan,
            value=own,
            bias=False,
            feedforward=partial(SwiGLU, hidden=self.hidden, bias=False),
            norm=partial(RMSNorm, eps=self.eps),
            positions=partial(Rotary, theta=self.theta),
        )

    def tensors(self, prefix: str) -> list[TensorMap]:
        """Lists the tensors, in the order in which OLMo's own code saves them.

        Args:
            prefix: What all names start with.
        """
        table: Shape = (self.size, self.dim)
        norm: Shape = (self.dim,)
        maps = [_single(prefix + "wte.weight", EMBEDDING, table)]
        maps.append(_single(prefix + "ln_f.weight", "backbone.norm.weight", norm))
        for index in range(self.depth):
            maps += self._block(f"{prefix}blocks.{index}.", f"backbone.blocks.{index}.")
        if not self.tied:
            maps.append(_single(prefix + "ff_out.weight", READOUT, table))
        return maps

    def _block(self, theirs: str, ours: str) -> list[TensorMap]:
        dim, norm = self.dim, (self.dim,)
        network = ours + "feedforward."
        return [
            _single(theirs + "attn_out.weight", ours + "attention.out.weight", (dim, dim)),
            _single(theirs + "ff_out.weight", network + "down.weight", (dim, self.hidden)),
            *self._attention(theirs, ours + "attention."),
            _single(theirs + "ff_proj.weight", network + "up_gate.weight", (2 * self.hidden, dim)),
            _single(theirs + "attn_norm.weight", ours + "attention_norm.weight", norm),
            _single(theirs + "ff_norm.weight", ours + "feedforward_norm.weight", norm),
        ]

    def _attention(self, theirs: str, ours: str) -> list[TensorMap]:
        dim, width, maps = self.dim, self.value_dim, []
        if self.phases is not None:
            layer = theirs + "att_proj.fanlayer.input_linear."
            maps += _fan(layer, ours + "projection.", dim - self.phases, dim)
        fused = theirs + ("att_proj.weight" if self.phases is None else "att_proj.linear.weight")
        if self.value_phases is None:
            parts = {"query.weight": (dim, dim), "key_value.weight": (2 * width, dim)}
        else:
            parts = {"query.weight": (dim, dim), "key.weight": (width, dim)}
        total = sum(shape[0] for shape in parts.values())
        mine: dict[str, Shape] = {ours + name: shape for name, shape in parts.items()}
        maps.append(TensorMap({fused: (total, dim)}, mine))
        if self.value_phases is not None:
            layer = theirs + "v_fan.input_linear."
            maps += _fan(layer, ours + "value.", width - self.value_phases, dim)
        return maps


def _single(theirs: str, ours: str, shape: Shape) -> TensorMap:
    return TensorMap({theirs: shape}, {ours: shape})


def _fan(theirs: str, ours: str, rows: int, dim: int) -> list[TensorMap]:
    weight = _single(theirs + "weight", ours + "weight", (rows, dim))
    return [weight, _single(theirs + "bias", ours + "bias", (rows,))]


def phases(p: float, width: int) -> int:
    """Returns the phases of a FAN layer of `width` outputs: the whole part of `p * width`."""
    return int(p * width)


def p_of(count: int, width: int) -> float:
    """Returns the p that gives a FAN layer of `width` outputs exactly `count` phases.

    It is the quotient, or the next larger float where the quotient times `width` rounds below
    `count`.

    Example:
        >>> int(29 / 100 * 100), int(p_of(29, 100) * 100)
        (28, 29)
    """
    p = count / width
    while phases(p, width) < count:
        p = math.nextafter(p, 1.0)
    return p
