"""Merges additions of low rank into the matrices that they are added to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from components import LowRankAdaptation
from components.layers.low_rank import merge
from framework.exchange.nodes import ConfigNode

LOW, HIGH = "low", "high"


def merged(owner: str, adaptation: Any, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the parameters of a model without its adaptation.

    Args:
        owner: The checkpoint, for messages.
        adaptation: How the checkpoint describes the adaptation; None if there is none.
        held: The parameters by name.

    Raises:
        ValueError: If the adaptation is one that cannot be merged.
    """
    if adaptation is None:
        return dict(held)
    node = ConfigNode(owner, "the adaptation", adaptation)
    node.must_be(LowRankAdaptation)
    scale = float(node.options["alpha"]) / int(node.options["rank"])
    found = dict(held)
    for name in [name for name in held if name.endswith(f".{LOW}")]:
        base = name.removesuffix(LOW)
        low, high = found.pop(name), found.pop(base + HIGH)
        found[base + "weight"] = merge(found[base + "weight"], low, high, scale)
    return found
