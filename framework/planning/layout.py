"""How the processes of a run divide its data and its parameters, as its strategy says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy

from framework.console.errors import UserError
from framework.costs import ALL, Share
from framework.strategies import FullyShardedStrategy


@dataclass(frozen=True)
class Layout:
    """Division of a run among processes.

    Args:
        name: Name of the strategy.
        ranks: Number of processes.
        shards: Among how many of them each parameter, or the share of a layer, is divided.
        buckets: Whether gradients are held a second time, to be sent.
        share: How many of them divide the work on the same examples.
    """

    name: str
    ranks: int = 1
    shards: int = 1
    buckets: bool = False
    share: Share = ALL

    @property
    def readers(self) -> int:
        """How many processes, or groups of them, read different data."""
        return self.ranks // self.share.processes


def layout_of(strategy: Any, nodes: int, devices: Any) -> Layout:
    """Returns the layout that options of the trainer amount to.

    Args:
        strategy: `trainer.strategy`, a name or an object.
        nodes: `trainer.num_nodes`.
        devices: `trainer.devices`: a number, a list, or "auto" for those of this machine.

    Raises:
        UserError: If the strategy is one whose division is not known.
        ValueError: If it cannot divide so many processes.
    """
    ranks = nodes * _count(devices)
    if isinstance(strategy, str):
        return _by_name(strategy, ranks)
    name = type(strategy).__name__
    if isinstance(strategy, FullyShardedStrategy):
        share = Share(strategy.tensors, strategy.contexts)
        strategy.require_divisible(ranks)
        return Layout(name, ranks, ranks // strategy.replicas // share.tensors, share=share)
    if getattr(strategy, "_tensor_parallel_size", 1) not in (1, "auto"):
        raise UserError(
            f"plan does not know what {name} holds with tensor_parallel_size="
            f"{strategy._tensor_parallel_size}; set it to 1, or use FullyShardedStrategy."
        )
    if isinstance(strategy, ModelParallelStrategy | FSDPStrategy):
        return Layout(name, ranks, ranks)
    if isinstance(strategy, DDPStrategy):
        views = strategy._ddp_kwargs.get("gradient_as_bucket_view", False)
        return Layout(name, ranks, buckets=not views)
    raise _unknown(name)


def _by_name(strategy: str, ranks: int) -> Layout:
    if strategy.startswith("ddp") or (strategy == "auto" and ranks > 1):
        return Layout("DDPStrategy", ranks, buckets=True)
    if strategy == "fsdp":
        return Layout("FSDPStrategy", ranks, ranks)
    if strategy == "auto":
        return Layout("one process")
    raise _unknown(strategy)


def _count(devices: Any) -> int:
    """Returns the processes of a node."""
    if isinstance(devices, str) and devices.strip("-").isdigit():
        devices = int(devices)
    if devices in ("auto", -1):
        return max(1, torch.cuda.device_count())
    if isinstance(devices, str):
        return len([part for part in devices.split(",") if part.strip()])
    return len(devices) if isinstance(devices, Sequence) else int(devices)


def _unknown(name: str) -> UserError:
    return UserError(
        f"plan does not know how {name} divides a model; use --config strategy/ddp or "
        "strategy/fsdp2."
    )
