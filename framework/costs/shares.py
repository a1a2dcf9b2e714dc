"""What one process computes where several divide layers or positions, on shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from components.interfaces import Backbone, TensorPlan


@dataclass(frozen=True)
class Share:
    """How many processes divide the work on the same examples.

    Args:
        tensors: Processes that divide each layer (tensor parallelism).
        contexts: Processes that divide the positions of sequences (context parallelism).
    """

    tensors: int = 1
    contexts: int = 1

    @property
    def processes(self) -> int:
        """Processes that read the same data."""
        return self.tensors * self.contexts

    def take(self, backbone: Backbone) -> None:
        """Leaves to a backbone without storage what one process has of it, in place.

        Raises:
            ValueError: If the backbone cannot be divided so.
        """
        if self.tensors > 1:
            plan = backbone.plan(self.tensors)
            for block in backbone.blocks:
                _divide(block, plan, self.tensors)
        if self.contexts > 1:
            backbone.spread(_Shapes(self.contexts))


ALL = Share()
"""One process computes all of its examples."""


class _Shapes:
    """Stands for other processes: what they would send has the shape of what this one has."""

    def __init__(self, processes: int) -> None:
        self.rank, self.processes = 0, processes

    def gather(self, own: Tensor) -> Tensor:
        return torch.stack([own] * self.processes)


def _divide(block: nn.Module, plan: TensorPlan, processes: int) -> None:
    """Replaces parameters by ones of the shape of a share; exchanged rows are a copy of them."""
    exchanged = []
    for path, parameter in list(block.named_parameters()):
        if path not in plan.rows and path not in plan.columns:
            continue
        owner, shape = _owner(block, path), list(parameter.shape)
        shape[0 if path in plan.rows else 1] //= processes
        share = nn.Parameter(parameter.new_empty(shape), parameter.requires_grad)
        owner.register_parameter(path.rpartition(".")[2], share)
        if plan.rows.get(path, 1) > 1:
            exchanged.append(path)
    block.forward = _Exchanging(block.forward, block, exchanged)


class _Exchanging:
    """Calls the forward method of a block with copies of some of its parameters."""

    def __init__(self, forward: Callable[..., Any], block: nn.Module, paths: list[str]) -> None:
        self.forward, self.block, self.paths = forward, block, paths

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._replaced():
            return self.forward(*args, **options)

    @contextmanager
    def _replaced(self) -> Iterator[None]:
        places = [(_owner(self.block, path), path.rpartition(".")[2]) for path in self.paths]
        held = [cast(nn.Parameter, owner._parameters[name]) for owner, name in places]
        try:
            for (owner, name), parameter in zip(places, held, strict=True):
                owner._parameters[name] = parameter.clone()  # type: ignore[assignment]  # a tensor
            yield
        finally:
            for (owner, name), parameter in zip(places, held, strict=True):
                owner._parameters[name] = parameter


def _owner(block: nn.Module, path: str) -> nn.Module:
    return block.get_submodule(path.rpartition(".")[0])
