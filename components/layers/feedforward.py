"""Feed-forward networks: the position-wise part of a block."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

from torch import Tensor, nn

from components.layers.linear import INITIAL_STD, Linear, ResidualLinear
from components.layers.plan import TensorPlan, require_divisible

SWIGLU_MULTIPLE = 8  # the hidden width is rounded up to this, which makes matrix kernels fast


class PositionWise(nn.Module, ABC):
    """Maps each position of a sequence on its own, to the same width unless it says otherwise."""

    plain: ClassVar[type[PositionWise] | None] = None
    """What a plain Transformer has in place of this feed-forward network, with `hidden` as the
    option for its width; None for the same."""

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide this network among them; its input is where shares begin.

        Raises:
            ValueError: If there is no plan, or a width is not divisible.
        """
        raise ValueError(
            f"{type(self).__name__} has no plan for tensor parallelism; set "
            "tensor_parallel_size=1, or use FeedForward or SwiGLU."
        )

    @abstractmethod
    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., dim]`."""


class ProjectionFactory(Protocol):
    """Builds a layer in front of queries, keys and values."""

    def __call__(self, *, dim: int) -> PositionWise:
        """Builds it for hidden states of width `dim`."""


class ValueFactory(Protocol):
    """Builds the map from the input of attention to values."""

    def __call__(self, *, dim: int, width: int) -> PositionWise:
        """Builds it for hidden states of width `dim` and values of `width`, all heads together."""


class FeedForwardFactory(Protocol):
    """Builds the feed-forward network of a block."""

    def __call__(self, *, dim: int, out_std: float) -> PositionWise:
        """Builds it for width `dim`; entries of the last matrix start with deviation `out_std`."""


class ActivationFactory(Protocol):
    """Builds an elementwise nonlinearity."""

    def __call__(self) -> nn.Module:
        """Builds it."""


class FeedForward(PositionWise):
    """Two linear maps with an activation in between: the network of GPT-2.

    Args:
        dim: Width of the hidden states.
        hidden: Width in between, by default 4 `dim`.
        activation: Makes the activation in between.
        bias: Whether both maps have a bias.
        out_std: Standard deviation of the initial entries of the last matrix.

    Source: Vaswani et al., "Attention Is All You Need" (arXiv:1706.03762), section 3.3.
    """

    def __init__(
        self,
        dim: int,
        hidden: int | None = None,
        activation: ActivationFactory = nn.GELU,
        bias: bool = False,
        out_std: float = INITIAL_STD,
    ) -> None:
        super().__init__()
        width = 4 * dim if hidden is None else hidden
        self.up = Linear(dim, width, bias)
        self.activation = activation()
        self.down = ResidualLinear(width, dim, bias, std=out_std)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., dim]`."""
        output: Tensor = self.down(self.activation(self.up(hidden)))
        return output

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide the hidden units among them.

        Raises:
            ValueError: If `processes` does not divide their number.
        """
        return _plan_of_units(self, self.up, self.down, processes)

    def extra_repr(self) -> str:
        """Describes the sizes."""
        dim, hidden = self.down.weight.shape
        return f"{dim}, hidden={hidden}"


class SwiGLU(PositionWise):
    r"""A feed-forward network with a multiplicative gate, as in Llama and OLMo.

    .. math:: y = W_{down} (\mathrm{silu}(W_{gate} x) \odot W_{up} x)

    With `gate=torch.nn.GELU` it is the GEGLU of Gemma and T5 1.1.

    Args:
        dim: Width of the hidden states.
        hidden: Width in between; by default 8/3 `dim`, rounded up to a multiple of 8, which costs
            as many parameters as a `FeedForward` of 4 `dim`.
        bias: Whether the maps have a bias.
        gate: Makes the activation of the gate.
        out_std: Standard deviation of the initial entries of the last matrix.

    Source: Shazeer, "GLU Variants Improve Transformer" (arXiv:2002.05202), eq. 6.
    """

    def __init__(
        self,
        dim: int,
        hidden: int | None = None,
        bias: bool = False,
        gate: ActivationFactory = nn.SiLU,
        out_std: float = INITIAL_STD,
    ) -> None:
        super().__init__()
        if hidden is None:
            hidden = SWIGLU_MULTIPLE * math.ceil(8 * dim / 3 / SWIGLU_MULTIPLE)
        self.up_gate = Linear(dim, 2 * hidden, bias)
        self.gate = gate()
        self.down = ResidualLinear(hidden, dim, bias, std=out_std)

    def forward(self, hidden: Tensor) -> Tensor:
        """Maps `[..., dim]` to `[..., dim]`."""
        up, gate = self.up_gate(hidden).chunk(2, -1)
        output: Tensor = self.down(self.gate(gate) * up)
        return output

    def plan(self, processes: int) -> TensorPlan:
        """Returns how processes divide the hidden units among them.

        Raises:
            ValueError: If `processes` does not divide their number.
        """
        return _plan_of_units(self, self.up_gate, self.down, processes)

    def extra_repr(self) -> str:
        """Describes the sizes."""
        dim, hidden = self.down.weight.shape
        return f"{dim}, hidden={hidden}"


def _plan_of_units(
    owner: PositionWise, first: nn.Linear, last: nn.Linear, processes: int
) -> TensorPlan:
    """Divides hidden units: rows of the first map, which may make several values for each."""
    names = {part: name for name, part in owner.named_children()}
    units = last.in_features
    require_divisible(type(owner).__name__, processes, hidden=units)
    parts = first.out_features // units
    return TensorPlan(
        rows={f"{names[first]}.{name}": parts for name, _ in first.named_parameters()},
        columns=frozenset({f"{names[last]}.weight"}),
        shared=frozenset({f"{names[last]}.bias"}),
        exits=frozenset({names[last]}),
    )
