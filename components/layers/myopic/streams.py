"""One projection as two equal streams: both have gradients for parameters, one for the input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from components.layers.linear import product_dtype


def parameter_streams(project: nn.Module, source: Tensor) -> tuple[Tensor, Tensor]:
    """Projects states `[..., D]` to two equal streams `[..., W]`.

    The gradient of the first stream reaches states and parameters, that of the second only the
    parameters. A linear map is computed once; any other module is called twice.

    Args:
        project: A linear map, or another module that draws no random numbers.
        source: The states.
    """
    match project:
        case nn.Linear(weight=weight, bias=bias):
            given = source, weight, bias, product_dtype(source)
            own, past = _SplitLinear.apply(*given)  # type: ignore[no-untyped-call] # torch's
            return own, past
    return project(source), project(source.detach())


class _SplitLinear(torch.autograd.Function):
    """A linear map that returns its product twice."""

    @staticmethod
    def forward(
        ctx: Any, source: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        source = source.to(dtype)
        ctx.save_for_backward(source, weight)
        added = None if bias is None else bias.to(dtype)
        with torch.autocast(source.device.type, enabled=False):
            product = linear(source, weight.to(dtype), added)
        return product, product.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, own: Tensor, past: Tensor) -> tuple[Tensor | None, ...]:
        source, weight = ctx.saved_tensors
        to_source = to_weight = to_bias = None
        with torch.autocast(source.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                to_source = own @ weight.to(own.dtype)
            total = (own + past).flatten(0, -2)
            if ctx.needs_input_grad[1]:
                to_weight = (total.t() @ source.flatten(0, -2)).to(weight.dtype)
            if ctx.needs_input_grad[2]:
                to_bias = total.sum(0)
        return to_source, to_weight, to_bias, None
