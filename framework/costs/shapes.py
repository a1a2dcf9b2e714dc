"""Models and batches that have shapes but no storage, so that a laptop can build any of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from lightning.pytorch.plugins import Precision
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (  # has no public name
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)

from framework.costs.shares import ALL, Share
from framework.execution import Execution
from framework.modules.base import PredictiveModule


def twin(
    module: PredictiveModule,
    execution: Execution,
    precision: Precision | None = None,
    share: Share = ALL,
) -> PredictiveModule:
    """Builds the parts of a module again, without storage, and as one process holds them.

    Tensors claim to be on the CPU, so that operations choose the kernels that they choose there.

    Args:
        module: The module; it is not changed, and may be built or not.
        execution: How the parts are run.
        precision: What converts the parameters, nothing if None.
        share: What one process has of layers and positions.

    Returns:
        A module of the same class and options, whose tensors are fake.

    Raises:
        ValueError: If the backbone cannot be divided so.
    """
    made = copy.copy(module)
    made._modules, made._parameters, made._buffers = {}, {}, {}
    one_process = {"_device_mesh": None, "sharding": None}
    vars(made).update(execution=execution, _initialization=None, **one_process)
    with torch.device("meta"):
        made.configure_model()
        share.take(made.backbone)
    if precision is not None:
        precision.convert_module(made)
    _remove_storage(made)
    return made.train()


def fake_batch(batch: Any) -> Any:
    """Returns the shapes and types of a batch, a NamedTuple of tensors."""
    return type(batch)(*(_fake(torch.empty_like(x, device="meta")) for x in batch))


@contextmanager
def without_values(owner: str) -> Iterator[None]:
    """Reports in one sentence that something cannot be computed from shapes.

    Args:
        owner: What is computed, for the message.

    Raises:
        ValueError: If it needs the values of tensors.
    """
    try:
        yield
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise ValueError(
            f"{owner} reads values of tensors ({error.func}), and costs are counted on shapes "
            "alone; choose another part, or measure it with `overtone bench`."
        ) from error


def _remove_storage(module: nn.Module) -> None:
    """Makes tensors on the meta device fake ones; those that are shared stay shared."""
    known: dict[int, Any] = {}
    for part in module.modules():
        for held in (part._parameters, part._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    held[name] = known.setdefault(id(tensor), _fake(tensor))


@cache
def _mode() -> FakeTensorMode:
    """Returns what all fake tensors belong to, for those of two modes do not mix."""
    return FakeTensorMode(allow_non_fake_inputs=True)


def _fake(tensor: Tensor) -> Any:
    data = FakeTensor(_mode(), tensor.detach().to("meta"), torch.device("cpu"))
    if not isinstance(tensor, nn.Parameter):
        return data
    return nn.Parameter(data, requires_grad=tensor.requires_grad)
