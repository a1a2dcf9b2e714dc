"""Divides, compiles, checkpoints and shards a model, from outside and in one order."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)
from torch.distributed.tensor import DTensor

from components.interfaces import Backbone, Head, Stem, TensorPlan
from framework.parallel.recomputing import Checkpointed


@dataclass(frozen=True)
class Execution:
    """Choices that change speed and memory of training, not its result.

    Args:
        compile: Compile every block of the backbone. Worthwhile for long runs; the first step then
            takes seconds to minutes.
        checkpoint: Keep only the inputs of each block for the backward pass and recompute the
            rest: less memory for about a third more time. With `selective`, products of matrices
            and attention are kept too, and only what is cheap is recomputed.
        meta: Where parameters are sharded, build the model in the first process only, which sends
            the others their shards, so that a host does not hold it once per process.
    """

    compile: bool = False
    checkpoint: bool | Literal["selective"] = False
    meta: bool = False


PLAIN = Execution()
"""Nothing is compiled or recomputed."""


@dataclass(frozen=True)
class Sharding:
    """How the processes of a run divide its data, its parameters and its layers.

    Args:
        mesh: The processes that shard parameters; with two axes those of the first hold the same.
        data: The processes that read different data; None where all do.
        tensors: The processes that divide each layer among them; None where none do.
        contexts: The processes that divide the positions of sequences among them; all of them
            shard parameters, too. None where none do.
        gathered: Type in which blocks and head are gathered, that of the parameters if None.
        reduced: Type in which gradients are summed over processes, that of gradients if None.
        offload: Whether parameters, gradients and the optimizer stay in the memory of the host.
    """

    mesh: DeviceMesh
    data: dist.ProcessGroup | None = None
    tensors: DeviceMesh | None = None
    contexts: DeviceMesh | None = None
    gathered: torch.dtype | None = None
    reduced: torch.dtype | None = None
    offload: bool = False

    @property
    def device(self) -> str:
        """Type of the device that holds the shards."""
        return "cpu" if self.offload else self.mesh.device_type

    def apply(self, module: nn.Module, gathered: torch.dtype | None = None) -> None:
        """Shards the parameters of a module that are not sharded yet, as one unit.

        Args:
            module: The module.
            gathered: Type in which its parameters are gathered.
        """
        pinned = torch.cuda.is_available()
        fully_shard(
            module,
            mesh=self.mesh,
            mp_policy=MixedPrecisionPolicy(gathered, self.reduced, cast_forward_inputs=False),
            offload_policy=CPUOffloadPolicy(pinned) if self.offload else OffloadPolicy(),
        )


def sharding_of(mesh: DeviceMesh | None) -> Sharding | None:
    """Returns how the processes of Lightning's `ModelParallelStrategy` divide a model.

    Args:
        mesh: Its mesh, with an axis for data and one for layers; None of other strategies.
    """
    if mesh is None:
        return None
    data, tensors = mesh["data_parallel"], mesh["tensor_parallel"]
    if tensors.size() == 1:
        return Sharding(data)
    return Sharding(data, data.get_group(), tensors)


def own_shares(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yields the parameters by name, of those that are sharded what this process holds."""
    for name, parameter in module.named_parameters():
        values = parameter.detach()
        yield name, values.to_local() if isinstance(values, DTensor) else values


def parallelize(
    stem: Stem, backbone: Backbone, head: Head, execution: Execution, sharding: Sharding | None
) -> None:
    """Applies `execution` in place: divides, then compiles, checkpoints and shards.

    Parameters keep their names, so that checkpoints do not depend on how a model was run.

    Args:
        stem: The stem; one unit of sharding.
        backbone: The backbone; each of its blocks is a unit, and what is left of it another.
        head: The head; its projection is a unit (its distribution is no tensor, and has no
            parameters).
        execution: What to apply.
        sharding: How parameters are divided among processes (FSDP2), `None` to keep them whole.
            A mesh of one process is sharded too: checkpoints are then alike for any world size.

    Raises:
        ValueError: If the backbone has no plan for tensor parallelism, is not divisible, or cannot
            divide positions.
    """
    if sharding is not None and sharding.tensors is not None:
        divide_layers(stem, backbone, head, sharding.tensors)
    if sharding is not None and sharding.contexts is not None:
        from framework.parallel.contexts import MeshExchange  # only now, as in `divide_layers`

        backbone.spread(MeshExchange(sharding.contexts))
    for block in backbone.blocks:
        if execution.compile:
            block.compile()
        if execution.checkpoint:
            block.forward = Checkpointed(block.forward, execution.checkpoint == "selective")
        if sharding is not None:
            sharding.apply(block, sharding.gathered)
    if sharding is not None:
        # A linear layer returns a view of its product; nothing of ours is changed in place.
        warnings.filterwarnings("ignore", r".*FSDP2-wrapped module .* returned a view tensor")
        # A root module stays gathered after its forward pass, so that a read-out can share the
        # embedding of the stem, which is kept in full precision, as what it embeds may need.
        sharding.apply(stem)
        sharding.apply(backbone, sharding.gathered)
        sharding.apply(head.projection, sharding.gathered)


def divide_layers(stem: Stem, backbone: Backbone, head: Head, mesh: DeviceMesh) -> None:
    """Divides each block among processes by the plan of the backbone; the rest stays whole.

    Args:
        stem: The stem.
        backbone: The backbone.
        head: The head.
        mesh: The processes.

    Raises:
        ValueError: If the backbone has no plan, or is not divisible.
    """
    # Only now, as compiled code must see the classes of torch, not what a command defers at start
    from framework.parallel.tensors import WHOLE, LocalForward, distribute, divide

    plan: TensorPlan = backbone.plan(mesh.size())
    for block in backbone.blocks:
        divide(block, plan, mesh)
    for part in (stem, backbone, head.projection):  # parameters of one model have one mesh
        distribute(part, WHOLE, mesh)
    for method in ("forward", "state", "readout"):
        if getattr(type(stem), method) is not getattr(Stem, method):  # that one calls another
            setattr(stem, method, LocalForward(getattr(stem, method), [stem], mesh))
    outside = [part for name, part in backbone.named_children() if name != "blocks"]
    backbone.forward = LocalForward(backbone.forward, outside, mesh)  # type: ignore[method-assign]
    shared = [stem, head.projection]  # a read-out may be tied to the embedding
    head.projection.forward = LocalForward(head.projection.forward, shared, mesh)


def materialize(module: nn.Module, build: Callable[[], nn.Module], sharding: Sharding) -> None:
    """Fills a sharded module that has no storage yet with what `build` makes in the first process.

    Args:
        module: The module, built on the meta device and sharded.
        build: Builds the same parameters and buffers with storage; called by the first process.
        sharding: How it is sharded.
    """
    module.to_empty(device=sharding.device)
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
