"""Perceptron: linear maps and activations, one after the other."""

from __future__ import annotations

from itertools import pairwise, starmap

from torch import Tensor, nn

from components.backbones.pointwise import PointwiseBackbone
from components.layers.feedforward import ActivationFactory
from components.layers.sizes import require_positive


class Perceptron(PointwiseBackbone):
    """Maps each position on its own by a plain network: nothing is added, nothing normalized.

    The stem is its first linear map. A network 2-64-32 before the head is a linear stem of two
    features and a perceptron with `hidden` 64, `dim` 32 and `depth` 1. Its maps start as torch's
    own do.

    Args:
        dim: Width of the hidden states that it gives.
        depth: Number of linear maps, each between two activations.
        hidden: Width of the states that it reads and of those between its maps; if not given,
            `dim`.
        activation: Makes the activation.

    Source: Rumelhart, Hinton & Williams, "Learning representations by back-propagating errors"
        (1986), with ReLUs unless told otherwise.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        hidden: int | None = None,
        activation: ActivationFactory = nn.ReLU,
    ) -> None:
        super().__init__()
        hidden = dim if hidden is None else hidden
        require_positive("Perceptron", dim=dim, depth=depth, hidden=hidden)
        self.dim, self.hidden = dim, hidden
        widths = [hidden] * depth + [dim]
        self.blocks = nn.ModuleList(starmap(nn.Linear, pairwise(widths)))
        self.activation = activation()

    @property
    def input_dim(self) -> int:
        """Width of the states that it reads."""
        return self.hidden

    def transform(self, states: Tensor) -> Tensor:
        """Computes hidden states `[B, S, D]` of states, each of its own state only."""
        hidden: Tensor = self.activation(states)
        for linear in self.blocks:
            hidden = self.activation(linear(hidden))
        return hidden
