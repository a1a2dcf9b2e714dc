"""Selective recomputation: what is expensive to compute is kept for the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

aten = torch.ops.aten
EXPENSIVE = frozenset(
    {
        aten.mm.default,
        aten.addmm.default,
        aten.bmm.default,
        aten.baddbmm.default,
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        aten._scaled_dot_product_flash_attention.default,
        aten._scaled_dot_product_efficient_attention.default,
        aten._scaled_dot_product_cudnn_attention.default,
        torch.ops._c10d_functional.all_gather_into_tensor.default,
        torch.ops._c10d_functional.all_reduce.default,
        torch.ops._c10d_functional.all_to_all_single.default,
        torch.ops._c10d_functional.wait_tensor.default,
    }
)
"""Products of matrices, attention, and what is exchanged between processes."""


class Checkpointed:
    """Recomputes activations in the backward pass instead of keeping them.

    An object, not a closure: a copy of its block then recomputes with the parameters of the copy.

    Args:
        forward: The forward method of a block.
        selective: Whether to keep the results of `EXPENSIVE` operations.
    """

    def __init__(self, forward: Callable[..., Any], selective: bool = False) -> None:
        self.forward, self.selective = forward, selective

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls the forward method."""
        if self.selective:
            options["context_fn"] = _contexts
        return checkpoint(self.forward, *args, use_reentrant=False, **options)


def _contexts() -> Any:
    return create_selective_checkpoint_contexts(_keep)  # type: ignore[no-untyped-call]  # torch's


def _keep(context: Any, operation: Any, *args: Any, **options: Any) -> CheckpointPolicy:
    if operation in EXPENSIVE:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
