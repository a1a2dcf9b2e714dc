"""Tensor parallelism: distributes parameters by a plan, and computes with those of a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.distributed._functional_collectives import all_to_all_single
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import Placement

from components.interfaces import TensorPlan

WHOLE = TensorPlan()
"""Nothing is divided: each process holds all parameters."""


def divide(module: nn.Module, plan: TensorPlan, mesh: DeviceMesh) -> None:
    """Distributes the parameters of a module, and lets it compute with those of this process.

    Args:
        module: The module, whose parameters are alike in all processes.
        plan: How it is divided; names are those of the module.
        mesh: The processes.
    """
    distribute(module, plan, mesh)
    module.forward = LocalForward(module.forward, [module], mesh, plan)
    for name in plan.entries:
        module.get_submodule(name).register_forward_hook(partial(_begin, mesh))
    for name in plan.exits:
        module.get_submodule(name).register_forward_hook(partial(_sum, mesh))


def distribute(module: nn.Module, plan: TensorPlan, mesh: DeviceMesh) -> None:
    """Replaces parameters that are whole in each process by distributed ones.

    Args:
        module: The module.
        plan: How its parameters are divided; those that it does not name stay whole.
        mesh: The processes.
    """
    for place in _places(module):
        value = place.parameter
        if isinstance(value, DTensor):
            continue
        placements = [_placement(place.path, plan)]
        placed = distribute_tensor(value.detach(), mesh, placements, src_data_rank=None)
        parameter = nn.Parameter(placed, requires_grad=value.requires_grad)
        place.owner.register_parameter(place.name, parameter)


class Place(NamedTuple):
    """Where a parameter is kept."""

    path: str  # its name in a module
    owner: nn.Module  # the submodule that has it
    name: str  # its name there

    @property
    def parameter(self) -> nn.Parameter:
        """The parameter that is kept there."""
        return cast(nn.Parameter, self.owner._parameters[self.name])


class LocalForward:
    """Calls a method with ordinary tensors in place of distributed parameters.

    An object, not a closure: a copy of its module then computes with the parameters of the copy.

    Args:
        forward: The method of a module.
        modules: The modules whose parameters it uses.
        mesh: The processes that divide them.
        plan: How they do; by default each has all.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        modules: Iterable[nn.Module],
        mesh: DeviceMesh,
        plan: TensorPlan = WHOLE,
    ) -> None:
        self.forward, self.plan, self.mesh = forward, plan, mesh
        self.places = [place for module in modules for place in _places(module)]

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Calls the method."""
        with self._replaced():
            return self.forward(*args, **options)

    @contextmanager
    def _replaced(self) -> Iterator[None]:
        held = [place.parameter for place in self.places]
        try:
            for place, parameter in zip(self.places, held, strict=True):
                place.owner._parameters[place.name] = self._local(place.path, parameter)  # type: ignore[assignment]  # a tensor, for now
            yield
        finally:
            for place, parameter in zip(self.places, held, strict=True):
                place.owner._parameters[place.name] = parameter

    def _local(self, path: str, parameter: Tensor) -> Tensor:
        """Returns what this process computes with."""
        if not isinstance(parameter, DTensor):  # local already, by a module around this one
            return parameter
        if path in self.plan.rows:
            return regrouped(parameter.to_local(), self.plan.rows[path], self.mesh)
        if path not in self.plan.shared:
            return parameter.to_local()
        share = parameter.to_local(grad_placements=[Partial()])
        module = path.rpartition(".")[0]
        return share / self.mesh.size() if module in self.plan.exits else share


def regrouped(rows: Tensor, parts: int, mesh: DeviceMesh) -> Tensor:
    r"""Exchanges rows of a matrix, so that each process has its share of each part of it.

    Rows are stored in order, as one process would: of p processes, the first has the first 1/p of
    all. They are exchanged, not stored otherwise, so that checkpoints do not depend on p; what is
    sent is no more than one process holds.

    Args:
        rows: `[R / p, ...]`, rows of this process, of R in all.
        parts: Of how many parts, R / `parts` rows each, the matrix consists.
        mesh: The p processes.

    Returns:
        `[R / p, ...]`: 1/p of the rows of each part.
    """
    processes, rank = mesh.size(), mesh.get_local_rank()
    if parts == 1 or processes == 1:
        return rows
    # Of parts · p units, process q holds parts · q and those behind, and unit u goes to u mod p.
    units = rows.view(parts, len(rows) // parts, *rows.shape[1:])
    held = range(parts * rank, parts * (rank + 1))
    order = sorted(held, key=lambda unit: (unit % processes, unit))
    size = units.shape[1]
    sent = [sum(u % processes == q for u in held) * size for q in range(processes)]
    received = [
        sum(u % processes == rank for u in range(parts * q, parts * (q + 1))) * size
        for q in range(processes)
    ]
    ordered = torch.cat([units[unit - parts * rank] for unit in order])
    return all_to_all_single(ordered, received, sent, mesh.get_group())


def _placement(path: str, plan: TensorPlan) -> Placement:
    """Returns how a parameter is divided."""
    if path in plan.rows:
        return Shard(0)
    return Shard(1) if path in plan.columns else Replicate()


def _places(module: nn.Module) -> list[Place]:
    """Returns where the parameters of a module are."""
    return [
        Place(f"{path}.{name}" if path else name, owner, name)
        for path, owner in module.named_modules()
        for name, value in owner._parameters.items()
        if value is not None
    ]


def _begin(mesh: DeviceMesh, module: nn.Module, args: Any, output: Tensor) -> Tensor:
    """Passes on what all processes have; the gradients of their shares are summed."""
    whole = DTensor.from_local(output, mesh, [Replicate()], run_check=False)
    return whole.to_local(grad_placements=[Partial()])


def _sum(mesh: DeviceMesh, module: nn.Module, args: Any, output: Tensor) -> Tensor:
    """Sums the shares of all processes; the gradient of the sum is that of each of them."""
    shares = DTensor.from_local(output, mesh, [Partial()], run_check=False)
    return shares.redistribute(placements=[Replicate()]).to_local()
