"""Norms: they rescale hidden states, in float32 whatever the precision around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, rms_norm

from components.layers.derivatives import is_transformed


class Norm(nn.Module, ABC):
    """Rescales each hidden state on its own."""

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """Normalizes the last axis of `[..., dim]`."""


class NormFactory(Protocol):
    """Builds a norm."""

    def __call__(self, *, dim: int) -> Norm:
        """Builds it for hidden states of width `dim`."""


class RMSNorm(Norm):
    r"""Divides by the root mean square and multiplies by a learned gain: no centering, no bias.

    .. math:: y_i = g_i x_i / \sqrt{\tfrac{1}{d} \sum_j x_j^2 + \epsilon}

    Args:
        dim: Width of the hidden states.
        eps: Added to the mean square, positive; keeps a state of zeros finite.
        offset: Added to the learned gain, which starts at 1 - `offset`; 1 in Gemma, where weight
            decay so pulls the gain to one.

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (arXiv:1910.07467), eq. 4.
    """

    def __init__(self, dim: int, eps: float = 1e-6, offset: float = 0.0) -> None:
        super().__init__()
        self.eps, self.offset = eps, offset
        self.weight = nn.Parameter(torch.empty(dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the gain to one."""
        nn.init.constant_(self.weight, 1 - self.offset)

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalizes the last axis of `[..., dim]`."""
        wide = torch.promote_types(hidden.dtype, torch.float32)
        states, gain = _as(wide, hidden), _as(wide, self.weight)
        gain = gain + self.offset if self.offset else gain
        if hidden.device.type != "cpu" or is_transformed(states, gain):
            normed = rms_norm(states, gain.shape, gain, self.eps)
        elif torch.is_grad_enabled():
            normed = _RootMeanSquare.apply(states, gain, self.eps)  # type: ignore[no-untyped-call] # torch's
        else:  # a step of a generation calls it tens of times, and a function of autograd is dear
            normed, _ = _normalize(states, gain, self.eps)
        return _as(hidden.dtype, normed)


class LayerNorm(Norm):
    r"""Centers, divides by the standard deviation, applies a learned gain and a learned bias.

    .. math:: y_i = g_i (x_i - \bar x) / \sqrt{\tfrac{1}{d} \sum_j (x_j - \bar x)^2 + \epsilon} +
    b_i

    Args:
        dim: Width of the hidden states.
        eps: Added to the variance, positive; keeps a constant state finite.
        affine: Whether there are a gain and a bias; without them, as in OLMo, g = 1 and b = 0.

    Source: Ba, Kiros and Hinton, "Layer Normalization" (arXiv:1607.06450), eq. 4; without gain:
    Groeneveld et al., "OLMo" (arXiv:2402.00838), section 2.1.
    """

    def __init__(self, dim: int, eps: float = 1e-6, affine: bool = True) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps
        self.weight = nn.Parameter(torch.empty(dim)) if affine else None
        self.bias = nn.Parameter(torch.empty(dim)) if affine else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets the gain to one and the bias to zero."""
        if self.weight is not None and self.bias is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Normalizes the last axis of `[..., dim]`."""
        wide = torch.promote_types(hidden.dtype, torch.float32)
        gain = None if self.weight is None else _as(wide, self.weight)
        bias = None if self.bias is None else _as(wide, self.bias)
        normed = layer_norm(_as(wide, hidden), (self.dim,), gain, bias, self.eps)
        return _as(hidden.dtype, normed)


class _RootMeanSquare(torch.autograd.Function):
    r"""The norm and its gradient on a CPU, where torch has no fused kernel of them.

    .. math:: \frac{\partial L}{\partial x} = r \left(a - n \, \overline{a n}\right), \quad
              n = r x, \quad r = 1 / \sqrt{\overline{x^2} + \epsilon}, \quad a = g \odot \partial L

    where a bar is the mean over a state. The kernel of `layer_norm` computes that for states
    without a mean, but for a term of the mean of a, which is added again.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, gain: Tensor, eps: float) -> Tensor:
        normed, scale = _normalize(states, gain, eps)
        ctx.save_for_backward(states, gain, scale)
        ctx.eps = eps
        return normed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, gain, scale = ctx.saved_tensors
        rows, slope = states.reshape(-1, len(gain)), gradient.reshape(-1, len(gain))
        if torch.is_grad_enabled():  # to be differentiated once more
            to_rows, to_gain = _slopes(rows, gain, ctx.eps, slope)
            return to_rows.view_as(states), to_gain, None
        mean = torch.zeros_like(scale)
        wanted = (*ctx.needs_input_grad[:2], False)
        to_rows, to_gain, _ = torch.ops.aten.native_layer_norm_backward(
            slope.contiguous(), rows.contiguous(), gain.shape, mean, scale, gain, None, wanted
        )
        if to_rows is not None:
            to_rows.addcmul_(torch.mv(slope, gain / len(gain)).unsqueeze(1), scale)
            to_rows = to_rows.view_as(states)
        return to_rows, to_gain, None


def _as(dtype: torch.dtype, tensor: Tensor) -> Tensor:
    """Changes the precision of a tensor; spares a step of a generation tens of calls of torch."""
    return tensor if tensor.dtype == dtype else tensor.to(dtype)


def _normalize(states: Tensor, gain: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """Returns y of states `[..., dim]`, and r of each, `[N, 1]`."""
    rows = states.reshape(-1, len(gain))
    scale = _inverse_size(rows, eps)
    return (rows * scale).mul_(gain).view_as(states), scale


def _inverse_size(rows: Tensor, eps: float) -> Tensor:
    """Computes r of rows `[N, dim]`: `[N, 1]`."""
    sizes = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    scale: Tensor = (sizes.square() / rows.shape[1] + eps).rsqrt()
    return scale


def _slopes(rows: Tensor, gain: Tensor, eps: float, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Computes both gradients by their formulas."""
    scale = _inverse_size(rows, eps)
    normed, scaled = rows * scale, slope * gain
    to_rows = scale * (scaled - normed * (scaled * normed).mean(1, keepdim=True))
    return to_rows, (slope * normed).sum(0)
