"""Compiles, checkpoints and shards a model, from outside and in one order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.utils.checkpoint import checkpoint

from components.interfaces import Backbone, Head, Stem


@dataclass(frozen=True)
class Execution:
    """Choices that change speed and memory of training, not its result.

    Args:
        compile: Compile every block of the backbone. Worthwhile for long runs; the first step then
            takes seconds to minutes.
        checkpoint: Keep only the inputs of each block for the backward pass and recompute the
            rest: less memory for about a third more time.
        meta: Where parameters are sharded, build the model in the first process only, which sends
            the others their shards, so that a host does not hold it once per process.
    """

    compile: bool = False
    checkpoint: bool = False
    meta: bool = False


PLAIN = Execution()
"""Nothing is compiled or recomputed."""


def parallelize(
    stem: Stem, backbone: Backbone, head: Head, execution: Execution, mesh: DeviceMesh | None
) -> None:
    """Applies `execution` in place: compiles, then checkpoints, then shards.

    Parameters keep their names, so that checkpoints do not depend on how a model was run.

    Args:
        stem: The stem; one unit of sharding.
        backbone: The backbone; each of its blocks is a unit, and what is left of it another.
        head: The head; its projection is a unit (its distribution is no tensor, and has no
            parameters).
        execution: What to apply.
        mesh: The processes over which parameters are sharded (FSDP2), `None` to keep them whole.
            A mesh of one process is sharded too: checkpoints are then alike for any world size.
    """
    for block in backbone.blocks:
        if execution.compile:
            block.compile()
        if execution.checkpoint:
            block.forward = Checkpointed(block.forward)
        if mesh is not None:
            fully_shard(block, mesh=mesh)
    if mesh is not None:
        # A linear layer returns a view of its product; nothing of ours is changed in place.
        warnings.filterwarnings("ignore", r".*FSDP2-wrapped module .* returned a view tensor")
        # A root module stays gathered after its forward pass, so that a read-out can share the
        # embedding of the stem.
        for part in (stem, backbone, head.projection):
            fully_shard(part, mesh=mesh)


class Checkpointed:
    """Recomputes activations in the backward pass instead of keeping them.

    An object, not a closure: a copy of its block then recomputes with the parameters of the copy.

    Args:
        forward: The forward method of a block.
    """

    def __init__(self, forward: Callable[..., Any]) -> None:
        self.forward = forward

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls the forward method."""
        return checkpoint(self.forward, *args, use_reentrant=False, **options)


def data_mesh(mesh: DeviceMesh | None) -> DeviceMesh | None:
    """Returns the processes among which data and parameters are divided.

    Raises:
        ValueError: If the strategy also asks for tensor parallelism.
    """
    if mesh is None:
        return None
    if mesh["tensor_parallel"].size() > 1:
        raise ValueError(
            f"tensor_parallel_size={mesh['tensor_parallel'].size()} is not supported by these "
            "models; set it to 1 and data_parallel_size to the number of processes."
        )
    return mesh["data_parallel"]


def materialize(module: nn.Module, build: Callable[[], nn.Module], mesh: DeviceMesh) -> None:
    """Fills a sharded module that has no storage yet with what `build` makes in the first process.

    Args:
        module: The module, built on the meta device and sharded.
        build: Builds the same parameters and buffers with storage; called by the first process.
        mesh: The processes that hold the shards.
    """
    module.to_empty(device=mesh.device_type)
    whole = build() if dist.get_rank() == 0 else nn.Module()
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=False)
    # Frozen parameters of pretrained parts are in no state dict.
    values = {**dict(whole.named_parameters()), **whole.state_dict()}
    set_model_state_dict(module, values, options=options)
    buffers = dict(whole.named_buffers())
    for name, buffer in module.named_buffers():  # also those that no state dict holds
        if name in buffers:
            buffer.copy_(buffers[name])
        dist.broadcast(buffer, src=0)
