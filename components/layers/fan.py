"""The FAN layer: a linear map, some outputs of which are phases that become cosines and sines."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, addmm, nn
from torch.nn.functional import linear, pad

from components.layers.derivatives import is_transformed
from components.layers.feedforward import ActivationFactory, PositionWise, SwiGLU
from components.layers.linear import INITIAL_STD, product_dtype, require_positive


class FanLayer(PositionWise):
    r"""Makes periodic features beside ordinary ones, so that a network can represent periods.

    .. math::
        P = x W_p^T + b_p, \quad G = \sigma(x W_g^T + b_g), \quad y = (\cos P, \sin P, G)

    With `gated`, a learned weight s = sigmoid(gate) scales the two kinds, by s and by 1 - s. One
    weight matrix holds the rows of W_p, then those of W_g.

    For its gradient the layer keeps its input and its features, which are the output itself where
    the activation is the identity; under transformations of torch, what the formula keeps. Phases
    need not be kept: the derivative of a cosine is the sine beside it, up to a sign. Under
    autocast, and in half precision, phases are computed in float32: one of 30 rad, rounded to
    bfloat16, is wrong by up to 0.06 rad.

    Args:
        dim: Number of inputs.
        width: Number of outputs, `dim` if not given.
        p: Phases per output, from 0 to 0.5; there are `floor(p * width)` of them. Each is used
            twice, so the *fraction of periodic outputs is 2p*, by default half. At 0 the layer is
            linear with an activation, at 0.5 it has no linear path.
        activation: Makes the activation of the outputs that are not periodic: `torch.nn.GELU` in
            Fourier analysis networks, `torch.nn.Identity` in FANformer.
        gated: Whether to learn how much the periodic outputs count.
        p_bias: Whether phases have a bias, as in the authors' code, though not in their formula.
        std: Standard deviation of the initial entries of the matrix, whose biases are then 0; by
            default all are drawn as `torch.nn.Linear` does.

    Raises:
        ValueError: If `p` is not between 0 and 0.5, or a size is below 1.

    Source: Dong et al., "FAN: Fourier Analysis Networks" (arXiv:2410.02675), eq. 9 and the
        footnote on the gate, whose sigmoid is that of the authors' code; with the identity
        Dong et al., "FANformer" (arXiv:2502.21309), eq. 1-3.
    """

    def __init__(
        self,
        dim: int,
        width: int | None = None,
        p: float = 0.25,
        activation: ActivationFactory = nn.GELU,
        gated: bool = False,
        p_bias: bool = True,
        std: float | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= p <= 0.5:
            raise ValueError(
                f"FanLayer: p={p} is not between 0 and 0.5; a phase gives a cosine and a sine, so "
                "at 0.5 all outputs are periodic."
            )
        outputs = dim if width is None else width
        require_positive("FanLayer", dim=dim, width=outputs)
        self.phases = int(p * outputs)
        self.activation = activation()
        self.std = std
        rows = outputs - self.phases
        self.weight = nn.Parameter(torch.empty(rows, dim))
        self.bias = nn.Parameter(torch.empty(rows if p_bias else rows - self.phases))
        # one number, in a row of its own: sharded training has no place for scalars
        self.gate = nn.Parameter(torch.empty(1)) if gated else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the initial parameters, the gate from a standard normal."""
        if self.std is None:
            bound = 1 / math.sqrt(self.weight.shape[1])
            nn.init.uniform_(self.weight, -bound, bound)
            nn.init.uniform_(self.bias, -bound, bound)
        else:
            nn.init.normal_(self.weight, std=self.std)
            nn.init.zeros_(self.bias)
        if self.gate is not None:
            nn.init.normal_(self.gate)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., width]`: cosines, sines, then the rest."""
        rows, periodic = self.weight.shape[0], 2 * self.phases
        bias = self.bias if len(self.bias) == rows else pad(self.bias, (rows - len(self.bias), 0))
        given = hidden, self.weight, bias, self.phases, product_dtype(hidden)
        if is_transformed(hidden, self.weight, bias) and not torch.compiler.is_compiling():
            features = _joined(*given)
        else:
            features = _Features.apply(*given)  # type: ignore[no-untyped-call] # torch's
        rest = features[..., periodic:]
        bent = self.activation(rest)
        if bent is not rest:
            features = torch.cat((features[..., :periodic], bent), -1)
        if self.gate is None:
            return features
        weight = torch.sigmoid(self.gate)
        weights = torch.cat((weight.expand(periodic), (1 - weight).expand(rest.shape[-1])))
        return features * weights.to(features.dtype)

    def extra_repr(self) -> str:
        """Describes the sizes."""
        rows, dim = self.weight.shape
        return f"{dim}, {rows + self.phases}, phases={self.phases}"


class FanFeedForward(PositionWise):
    """Two FAN layers in place of the feed-forward network of a block.

    The second one is periodic too: cosines and sines are added to the residual stream. At p = 0.25
    its matrices have as many entries as those of a `SwiGLU` of half the width; in a recipe,
    `hidden: ${equal_parameters:8192}` is the width that costs as much as a `SwiGLU` of 8192.

    Args:
        dim: Width of the hidden states.
        hidden: Outputs of the first layer.
        p: Phases per output of both layers, from 0 to 0.5.
        activation: Makes the activation of the outputs of both that are not periodic.
        out_std: Standard deviation of the initial entries of the last matrix.

    Source: Dong et al., "FAN" (arXiv:2410.02675), which replaces both linear maps of
        Transformers in this way; the ablation "FFN ← FAN" of "FANformer" (arXiv:2502.21309) does
        not say more.
    """

    plain = SwiGLU

    def __init__(
        self,
        dim: int,
        hidden: int,
        p: float = 0.25,
        activation: ActivationFactory = nn.GELU,
        out_std: float = INITIAL_STD,
    ) -> None:
        super().__init__()
        self.up = FanLayer(dim, hidden, p, activation, std=INITIAL_STD)
        self.down = FanLayer(hidden, dim, p, activation, std=out_std)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., dim]`."""
        output: Tensor = self.down(self.up(hidden))
        return output


class _Features(torch.autograd.Function):
    """(cos P, sin P, x W_g^T + b_g), whose gradient needs only the input and the output."""

    @staticmethod
    def forward(
        hidden: Tensor, weight: Tensor, bias: Tensor, count: int, dtype: torch.dtype
    ) -> Tensor:
        # the compiler knows no product into a part of a tensor, but joins parts without a copy
        make = _joined if torch.compiler.is_compiling() else _in_place
        with torch.autocast(hidden.device.type, enabled=False):
            return make(hidden, weight, bias, count, dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        hidden, weight, _, ctx.count, _ = inputs
        ctx.save_for_backward(hidden, weight, output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (hidden, weight, features), (gradient,) = ctx.saved_tensors, gradients
        cosines, sines, _ = features.tensor_split((ctx.count, 2 * ctx.count), -1)
        to_mixed = gradient[..., ctx.count :].clone()  # the incoming gradient belongs to others
        to_phases = to_mixed[..., : ctx.count]
        to_phases.mul_(cosines).addcmul_(sines, gradient[..., : ctx.count], value=-1)
        dtype, flat = to_mixed.dtype, to_mixed.reshape(-1, len(weight))
        to_hidden = to_weight = None
        with torch.autocast(hidden.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                to_hidden = to_mixed @ weight.to(dtype)
            if ctx.needs_input_grad[1]:
                to_weight = flat.t() @ hidden.reshape(-1, hidden.shape[-1]).to(dtype)
        return to_hidden, to_weight, flat.sum(0), None, None


def _in_place(
    hidden: Tensor, weight: Tensor, bias: Tensor, count: int, dtype: torch.dtype
) -> Tensor:
    """Computes features `[..., width]` of `[..., dim]` in place, phases where sines will be."""
    flat, wide = hidden.reshape(-1, hidden.shape[-1]), torch.promote_types(dtype, torch.float32)
    width = len(weight) + count
    features = hidden.new_empty(*hidden.shape[:-1], width, dtype=dtype)
    rows = features.view(len(flat), width)
    cosines, sines, rest = rows.tensor_split((count, 2 * count), -1)
    if wide == dtype:
        phases = sines
        addmm(bias, flat, weight.t(), out=rows[:, count:])
    else:
        phases = linear(flat.to(wide), weight[:count].to(wide), bias[:count].to(wide))
        addmm(bias[count:].to(dtype), flat.to(dtype), weight[count:].to(dtype).t(), out=rest)
    torch.cos(phases, out=cosines)
    torch.sin(phases, out=sines)
    return features


def _joined(
    hidden: Tensor, weight: Tensor, bias: Tensor, count: int, dtype: torch.dtype
) -> Tensor:
    """Computes the same features without writing in place."""
    wide = torch.promote_types(dtype, torch.float32)
    phases = linear(hidden.to(wide), weight[:count].to(wide), bias[:count].to(wide))
    rest = linear(hidden.to(dtype), weight[count:].to(dtype), bias[count:].to(dtype))
    return torch.cat((phases.cos().to(dtype), phases.sin().to(dtype), rest), -1)
