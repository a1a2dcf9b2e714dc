"""What distinguishes the models of OLMo's formats from each other, and the tensors they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from framework.exchange.formats import EMBEDDING, READOUT, part
from framework.exchange.rows import Rows, Shape
from framework.exchange.shares import share

FAN_WEIGHT = "fanlayer.input_linear.weight"  # of it a FANformer is known


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
        eps: Of the norms.
        theta: Base of the wavelengths of positions.
        phases: Of the FAN layer in front of queries, keys and values; None if there is none.
        value_phases: Of the FAN layer that makes the values; None if they have a matrix.
        activation: Of what is not periodic in a FAN layer.
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
        return None if self.phases is None else share(self.phases, self.dim)

    @property
    def title(self) -> str:
        """What the model is called."""
        if self.phases is None:
            return "OLMo"
        if self.phases == 0 and self.value_phases is None:
            return "OLMo + ATM" if self.activation == "gelu" else "OLMo + ATL"
        return "FANformer" + (" + GELU" if self.activation == "gelu" else "")

    def backbone(self) -> dict[str, Any]:
        """Describes the Decoder that computes the same."""
        p, value = self.p, self.value_phases
        bend = part("torch.nn.GELU" if self.activation == "gelu" else "torch.nn.Identity")
        fan = None if p is None else part("FanLayer", p=p, activation=bend)
        own = None
        if value is not None:
            own = part("FanLayer", p=share(value, self.value_dim), activation=bend)
        return {
            "dim": self.dim,
            "depth": self.depth,
            "heads": self.heads,
            "kv_heads": self.kv_heads,
            "projection": fan,
            "value": own,
            "bias": False,
            "feedforward": part("SwiGLU", hidden=self.hidden, bias=False),
            "norm": part("RMSNorm", eps=self.eps),
            "positions": part("Rotary", theta=self.theta),
        }

    def rows(self, prefix: str) -> list[Rows]:
        """Lists the tensors, in the order in which OLMo's own code saves them.

        Args:
            prefix: What all names start with.
        """
        table: Shape = (self.size, self.dim)
        norm: Shape = (self.dim,)
        rows = [_row(prefix + "wte.weight", EMBEDDING, table)]
        rows.append(_row(prefix + "ln_f.weight", "backbone.norm.weight", norm))
        for index in range(self.depth):
            rows += self._block(f"{prefix}blocks.{index}.", f"backbone.blocks.{index}.")
        if not self.tied:
            rows.append(_row(prefix + "ff_out.weight", READOUT, table))
        return rows

    def _block(self, theirs: str, ours: str) -> list[Rows]:
        dim, norm = self.dim, (self.dim,)
        network = ours + "feedforward."
        return [
            _row(theirs + "attn_out.weight", ours + "attention.out.weight", (dim, dim)),
            _row(theirs + "ff_out.weight", network + "down.weight", (dim, self.hidden)),
            *self._attention(theirs, ours + "attention."),
            _row(theirs + "ff_proj.weight", network + "up_gate.weight", (2 * self.hidden, dim)),
            _row(theirs + "attn_norm.weight", ours + "attention_norm.weight", norm),
            _row(theirs + "ff_norm.weight", ours + "feedforward_norm.weight", norm),
        ]

    def _attention(self, theirs: str, ours: str) -> list[Rows]:
        dim, width, rows = self.dim, self.value_dim, []
        if self.phases is not None:
            layer = theirs + "att_proj.fanlayer.input_linear."
            rows += _fan(layer, ours + "projection.", dim - self.phases, dim)
        fused = theirs + ("att_proj.weight" if self.phases is None else "att_proj.linear.weight")
        if self.value_phases is None:
            parts = {"query.weight": (dim, dim), "key_value.weight": (2 * width, dim)}
        else:
            parts = {"query.weight": (dim, dim), "key.weight": (width, dim)}
        total = sum(shape[0] for shape in parts.values())
        mine: dict[str, Shape] = {ours + name: shape for name, shape in parts.items()}
        rows.append(Rows({fused: (total, dim)}, mine))
        if self.value_phases is not None:
            layer = theirs + "v_fan.input_linear."
            rows += _fan(layer, ours + "value.", width - self.value_phases, dim)
        return rows


def _row(theirs: str, ours: str, shape: Shape) -> Rows:
    return Rows({theirs: shape}, {ours: shape})


def _fan(theirs: str, ours: str, rows: int, dim: int) -> list[Rows]:
    weight = _row(theirs + "weight", ours + "weight", (rows, dim))
    return [weight, _row(theirs + "bias", ours + "bias", (rows,))]
