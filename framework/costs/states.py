"""Bytes of parameters, gradients and optimizer, of the whole model and on one of its shards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import is_fake  # has no public name
from torch.utils._python_dispatch import TorchDispatchMode  # has no public name

from framework.costs.activations import id_of
from framework.costs.shapes import without_values
from framework.modules.base import PredictiveModule
from framework.optimization import groups


@dataclass(frozen=True)
class States:
    """What a model and its optimizer hold between two steps.

    Args:
        parameters: Parameters, each once.
        buffers: Buffers, which are never divided.
        trained: Parameters that are trained.
        optimizer: Tensors of the optimizer after a step.
        saved: Tensors of a model in a checkpoint.
    """

    parameters: Sequence[Tensor]
    buffers: Sequence[Tensor]
    trained: Sequence[Tensor]
    optimizer: Sequence[Tensor]
    saved: Sequence[Tensor]

    @property
    def checkpoint(self) -> int:
        """Bytes of the tensors in a checkpoint: those of the model, and of the optimizer."""
        return size(self.saved) + size(self.optimizer)


def states_of(module: PredictiveModule) -> States:
    """Lets the optimizer of a module without storage take a step, and returns all tensors.

    Args:
        module: What `shapes.twin` makes.

    Raises:
        ValueError: If what the optimizer holds depends on values of gradients.
    """
    parameters = list(module.parameters())
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = module._optimizer(groups(module, module._matrices))
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter)
    ones = _Ones()  # type: ignore[no-untyped-call]  # torch's
    with without_values(type(optimizer).__name__), ones:
        optimizer.step()
    held = [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    saved = {id_of(tensor): tensor for tensor in module.state_dict(keep_vars=True).values()}
    return States(parameters, list(module.buffers()), trained, held, list(saved.values()))


class _Ones(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Lets optimizers read numbers of fake tensors, on which what they hold does not depend."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default and is_fake(args[0]):
            return 1.0 if args[0].is_floating_point() else 1
        return func(*args, **(kwargs or {}))


def size(tensors: Iterable[Tensor], shards: int = 1) -> int:
    """Returns bytes of tensors, or of the largest of equal parts of their first axes.

    Args:
        tensors: Tensors, each of which counts.
        shards: Processes among which each of them is divided, as FSDP2 does; those without axes
            are whole on all.
    """
    return sum(_part(tensor, shards) for tensor in tensors)


def _part(tensor: Tensor, shards: int) -> int:
    shape = tensor.shape
    if shape:
        shape = torch.Size((-(-shape[0] // shards), *shape[1:]))
    return math.prod(shape) * tensor.element_size()
