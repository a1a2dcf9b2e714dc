"""Adaptations: what of a model is trained when it is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from components.interfaces import Adaptation, Backbone, Head, Stem
from components.layers.low_rank import LowRankLinear


@dataclass(frozen=True)
class LowRankAdaptation(Adaptation):
    """Freezes a model and trains additions of low rank to some of its linear maps (LoRA).

    Checkpoints hold the whole model. `overtone export` merges the additions into the matrices.

    Args:
        rank: Rank of each addition, at least 1.
        alpha: Scale; the additions are multiplied by alpha / rank.
        targets: Names of the linear maps of the backbone that get one: `query`, `key_value` and
            `out` of attention, `up_gate` (or `up`) and `down` of the network.
        trained: Parts that are trained as a whole besides, such as a head that is new.

    Raises:
        ValueError: If the rank is below 1, or the backbone has no such map.

    Source: Hu et al., "LoRA" (arXiv:2106.09685); they adapt queries and values, which share a
        matrix with the keys here.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: Sequence[str] = ("query", "key_value")
    trained: Sequence[Literal["stem", "head"]] = ()

    def __post_init__(self) -> None:
        """Checks the options."""
        if self.rank < 1:
            raise ValueError(
                f"LowRankAdaptation: rank={self.rank} trains nothing; use at least 1."
            )

    def apply(self, stem: Stem, backbone: Backbone, head: Head) -> None:
        """Freezes the parts and makes the additions; see `Adaptation.apply`."""
        for name, part in {"stem": stem, "backbone": backbone, "head": head}.items():
            part.requires_grad_(name in self.trained)
        linear = {x: m for x, m in backbone.named_modules() if isinstance(m, nn.Linear)}
        named = {name.rpartition(".")[2] for name in linear}
        if missing := [target for target in self.targets if target not in named]:
            raise ValueError(
                f"LowRankAdaptation: {type(backbone).__name__} has no linear map "
                f"{missing[0]!r}; choose targets={list(self.targets)} among {sorted(named)}."
            )
        for name, base in linear.items():
            if name.rpartition(".")[2] in self.targets:
                backbone.set_submodule(name, LowRankLinear(base, self.rank, self.alpha))
