"""Which parameters decay: matrices do, biases, gains and other vectors do not."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from torch import nn

FLATTENED = "_fsdp_wrapped_module."  # what FSDP1 puts into names; it also flattens the parameters


def matrices(module: nn.Module) -> frozenset[str]:
    """Returns the names of parameters with at least two axes; ask before anything is sharded."""
    return frozenset(name for name, p in module.named_parameters() if p.ndim >= 2)


def groups(module: nn.Module, decayed: Set[str]) -> list[dict[str, Any]]:
    """Divides the parameters to be trained into those that decay and those that do not.

    Args:
        module: The module to be trained.
        decayed: Names of the parameters that decay, as `matrices` returns them.

    Returns:
        One or two parameter groups; the second sets `weight_decay` to 0.
    """
    trained = [(n.replace(FLATTENED, ""), p) for n, p in module.named_parameters() if p.requires_grad]
    decay = [p for name, p in trained if name in decayed]
    rest = [p for name, p in trained if name not in decayed]
    options: list[dict[str, Any]] = [{"params": decay}, {"params": rest, "weight_decay": 0.0}]
    return [group for group in options if group["params"]]
