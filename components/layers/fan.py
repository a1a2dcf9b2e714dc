"""The FAN layer: a linear map, some outputs of which are phases that become cosines and sines."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, pad

from components.layers.feedforward import ActivationFactory, Pointwise


class FanLayer(Pointwise):
    r"""Makes periodic features beside ordinary ones, so that a network can represent what repeats.

    .. math::
        P = x W_p^T + b_p, \quad G = \sigma(x W_g^T + b_g), \quad y = (\cos P, \sin P, G)

    With `gated`, a learned share s = sigmoid(gate) weighs the two kinds, by s and by 1 - s. One
    weight matrix holds the rows of W_p, then those of W_g. Under autocast, and in half precision,
    phases are computed in float32: one of 30 rad, rounded to bfloat16, is wrong by up to 0.06 rad.

    Args:
        dim: Number of inputs.
        width: Number of outputs, `dim` if not given.
        p: Phases per output, from 0 to 0.5 (`floor(p * width)` of them). Each is used twice, so
            the *share of periodic outputs is 2p*. At 0 the layer is linear with an activation, at
            0.5 it has no linear path.
        activation: Makes the activation of the outputs that are not periodic: `torch.nn.GELU` in
            Fourier analysis networks, `torch.nn.Identity` in FANformer.
        gated: Whether to learn how much the periodic outputs count.
        p_bias: Whether phases have a bias, as in the authors' code, though not in their formula.

    Raises:
        ValueError: If `p` is not between 0 and 0.5.

    Source: Dong et al., "FAN: Fourier Analysis Networks" (arXiv:2410.02675), eq. 9 and the
        footnote on the gate, whose sigmoid is that of the authors' code.
    """

    def __init__(
        self,
        dim: int,
        width: int | None = None,
        p: float = 0.25,
        activation: ActivationFactory = nn.GELU,
        gated: bool = False,
        p_bias: bool = True,
    ) -> None:
        super().__init__()
        if not 0 <= p <= 0.5:
            raise ValueError(
                f"FanLayer: p={p} is not between 0 and 0.5; a phase gives a cosine and a sine, so "
                "at 0.5 all outputs are periodic."
            )
        outputs = dim if width is None else width
        self.phases = int(p * outputs)
        self.activation = activation()
        rows = outputs - self.phases
        self.weight = nn.Parameter(torch.empty(rows, dim))
        self.bias = nn.Parameter(torch.empty(rows if p_bias else rows - self.phases))
        # one number, in a row of its own: sharded training has no place for scalars
        self.gate = nn.Parameter(torch.empty(1)) if gated else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws weight and bias as `torch.nn.Linear` does, the gate from a standard normal law."""
        bound = 1 / math.sqrt(self.weight.shape[1])
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        if self.gate is not None:
            nn.init.normal_(self.gate)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., width]`: cosines, sines, then the rest."""
        phases, rest = self._mix(hidden)
        features: Tensor = _Concatenate.apply(  # type: ignore[no-untyped-call] # torch's
            phases, self.activation(rest)
        )
        if self.gate is None:
            return features
        share = torch.sigmoid(self.gate)
        shares = torch.cat((share.expand(2 * self.phases), (1 - share).expand(rest.shape[-1])))
        return features * shares.to(features.dtype)

    def _mix(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Maps to `[..., phases]` and `[..., rest]`: two products where phases need precision."""
        count, rows = self.phases, self.weight.shape[0]
        bias = self.bias if len(self.bias) == rows else pad(self.bias, (rows - len(self.bias), 0))
        device = hidden.device.type
        if not torch.is_autocast_enabled(device) and hidden.dtype.itemsize >= 4:
            phases, rest = linear(hidden, self.weight, bias).tensor_split((count,), -1)
            return phases, rest
        rest = linear(hidden, self.weight[count:], bias[count:])
        with torch.autocast(device, enabled=False):
            phases = linear(hidden.float(), self.weight[:count].float(), bias[:count].float())
        return phases, rest

    def extra_repr(self) -> str:
        """Describes the sizes."""
        rows, dim = self.weight.shape
        return f"{dim}, {rows + self.phases}, phases={self.phases}"


class _Concatenate(torch.autograd.Function):
    """(cos P, sin P, G), differentiated from the result, so that phases need not be kept."""

    @staticmethod
    def forward(phases: Tensor, rest: Tensor) -> Tensor:
        cosine, sine = phases.cos().to(rest.dtype), phases.sin().to(rest.dtype)
        return torch.cat((cosine, sine, rest), -1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.count = inputs[0].shape[-1]
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        (output,), (gradient,), count = ctx.saved_tensors, gradients, ctx.count
        cosine, sine = output[..., :count], output[..., count : 2 * count]
        to_cosine, to_sine, to_rest = gradient.tensor_split((count, 2 * count), -1)
        return cosine * to_sine - sine * to_cosine, to_rest
