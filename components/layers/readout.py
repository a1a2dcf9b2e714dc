"""Read-outs of large vocabularies: a likelihood whose logits are never held all at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from components.layers.derivatives import is_transformed
from components.layers.linear import product_dtype

CHUNK = 2**24  # logits that are held at once: 64 MiB of float32


class Readout(nn.Linear):
    """A linear map to logits, which can also give the negative log-likelihood of one outcome.

    Args:
        in_features: Width of the hidden states.
        out_features: Number of logits.
        bias: Whether each logit has a learned constant.
    """

    def forward(self, hidden: Tensor, index: Tensor | None = None) -> Tensor:
        """Computes logits `[..., V]`; of outcomes `index` `[...]` nats `[...]`, see `nats`."""
        if index is None:
            return super().forward(hidden)
        return nats(hidden, self.weight, self.bias, index)


class TiedLinear(nn.Module):
    """A linear map whose matrix is that of an embedding: one matrix at both ends of a model.

    The embedding owns the matrix. Where parameters are sharded, the embedding must be called
    first, so that its matrix is gathered.

    Args:
        table: The embedding, one vector for each output.
        bias: The bias; None for none.
        rows: Outputs, the first vectors of the table; all of them if not given.

    Source: Press and Wolf, "Using the Output Embedding to Improve Language Models"
        (arXiv:1608.05859).
    """

    def __init__(
        self, table: nn.Embedding, bias: nn.Parameter | None, rows: int | None = None
    ) -> None:
        super().__init__()
        self._tables = (table,)  # in a tuple, which does not make it a part of this module
        self.bias, self.rows = bias, rows

    @property
    def table(self) -> nn.Embedding:
        """The embedding."""
        return self._tables[0]

    @property
    def weight(self) -> Tensor:
        """The shared matrix `[size, dim]`."""
        weight = self.table.weight
        return weight if self.rows in (None, len(weight)) else weight[: self.rows]

    def forward(self, hidden: Tensor, index: Tensor | None = None) -> Tensor:
        """Maps `[..., dim]` to `[..., size]`; with `index` to nats, see `Readout`."""
        if index is None:
            return linear(hidden, self.weight, self.bias)
        return nats(hidden, self.weight, self.bias, index)


class Scaled(nn.Module):
    """Multiplies by a number.

    Args:
        factor: The number.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, hidden: Tensor) -> Tensor:
        """Multiplies each component."""
        return hidden * self.factor


def nats(hidden: Tensor, weight: Tensor, bias: Tensor | None, index: Tensor) -> Tensor:
    r"""Computes negative log-likelihoods under the softmax of linear logits, chunk by chunk.

    .. math:: -\log \mathrm{softmax}(W h + b)_i

    It is exact. No more than some logits are held at once, also for the gradient, which computes
    them again: four products of matrices in place of three.

    Args:
        hidden: Hidden states h, `[..., D]`.
        weight: W, `[V, D]`.
        bias: b, `[V]`, or None.
        index: The outcomes i, int64 `[...]`, each from 0 to V - 1.

    Returns:
        Nats, `[...]`, in float32 or better.
    """
    wide = torch.promote_types(product_dtype(hidden), torch.float32)
    if is_transformed(hidden, weight):
        logits = linear(hidden, weight, bias).to(wide)
        chosen = logits.gather(-1, index.unsqueeze(-1)).squeeze(-1)
        return logits.logsumexp(-1) - chosen
    rows, flat = hidden.reshape(-1, hidden.shape[-1]), index.reshape(-1)
    found: Tensor = _Nats.apply(rows, weight, bias, flat, product_dtype(hidden))  # type: ignore[no-untyped-call] # torch's
    return found.view(index.shape)


class _Nats(torch.autograd.Function):
    """Nats `[N]` of outcomes, with a gradient that keeps one number for each."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        index: Tensor,
        dtype: torch.dtype,
    ) -> Tensor:
        logits = _Logits(hidden, weight, bias, dtype)
        chosen, totals = logits.new(len(hidden)), logits.new(len(hidden))
        for part in logits.parts:
            made = logits(part)
            chosen[part] = made.gather(1, index[part, None]).squeeze(1)
            largest = made.amax(1, keepdim=True)
            totals[part] = made.sub_(largest).exp_().sum(1).log_().add_(largest.squeeze(1))
        ctx.save_for_backward(hidden, weight, bias, index, totals)
        ctx.dtype = dtype
        return totals - chosen

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, index, totals = ctx.saved_tensors
        logits = _Logits(hidden, weight, bias, ctx.dtype)
        to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        to_weight = logits.new(*weight.shape).zero_() if ctx.needs_input_grad[1] else None
        to_bias = logits.new(len(weight)).zero_() if ctx.needs_input_grad[2] else None
        for part in logits.parts:
            slope = logits(part).sub_(totals[part, None]).exp_()  # probabilities, less one
            slope.scatter_add_(
                1, index[part, None], slope.new_full((), -1.0).expand(len(slope), 1)
            )
            slope = slope.mul_(gradient[part, None]).to(ctx.dtype)
            with torch.autocast(hidden.device.type, enabled=False):
                if to_hidden is not None:
                    to_hidden[part] = (slope @ logits.weight).to(hidden.dtype)
                if to_weight is not None:
                    to_weight += slope.t() @ hidden[part].to(ctx.dtype)
            if to_bias is not None:
                to_bias += slope.sum(0)
        made = (None if x is None else x.to(weight.dtype) for x in (to_weight, to_bias))
        return to_hidden, *made, None, None


class _Logits:
    """Logits of some hidden states, in a buffer that all chunks share."""

    def __init__(
        self, hidden: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
    ) -> None:
        self.hidden, self.weight = hidden, weight.to(dtype)
        self.bias = None if bias is None else bias.to(dtype)
        self.wide = torch.promote_types(dtype, torch.float32)
        rows = max(1, CHUNK // len(weight))
        self.parts = [slice(start, start + rows) for start in range(0, len(hidden), rows)]
        self.buffer = self.new(min(rows, len(hidden)), len(weight))

    def new(self, *shape: int) -> Tensor:
        return self.hidden.new_empty(shape, dtype=self.wide)

    def __call__(self, part: slice) -> Tensor:
        states = self.hidden[part].to(self.weight.dtype)
        with torch.autocast(states.device.type, enabled=False):
            if self.weight.dtype != self.wide:
                return linear(states, self.weight, self.bias).to(self.wide)
            made = torch.mm(states, self.weight.t(), out=self.buffer[: len(states)])
        return made if self.bias is None else made.add_(self.bias)
