"""Norms: they rescale hidden states, in float32 whatever the precision around them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, rms_norm


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
        gain = self.weight.to(wide)
        gain = gain + self.offset if self.offset else gain
        normed = rms_norm(hidden.to(wide), gain.shape, gain, self.eps)
        return normed.to(hidden.dtype)


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
        gain = None if self.weight is None else self.weight.to(wide)
        bias = None if self.bias is None else self.bias.to(wide)
        return layer_norm(hidden.to(wide), (self.dim,), gain, bias, self.eps).to(hidden.dtype)
